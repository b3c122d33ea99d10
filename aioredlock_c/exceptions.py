"""What locks raise. What the connection and the server raise is of the client's own library.

LockError and LockNotOwnedError are those of redis-py, whatever the client's library, so that handlers written
for redis-py's locks keep working.
"""

from __future__ import annotations

from redis.exceptions import LockError, LockNotOwnedError

__all__ = ["LockError", "LockLostError", "LockNotAcquiredError", "LockNotOwnedError"]


class LockNotAcquiredError(LockError):
    """`async with` of a Redisson made with required=True did not get the lock.

    .. versionadded:: 0.1.0
    """


class LockLostError(LockNotOwnedError):
    """A lease ended that was not released: it ran out, or the server says that it is not ours any more.

    Raised by `ensure_held()`, also where nothing is held, by `release()`, and by `async with` of a Redisson
    made with on_lost="cancel"; handed to `on_lost`.

    .. versionadded:: 0.1.0
    """
