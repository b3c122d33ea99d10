"""What locks raise. What the connection and the server raise is of the client's own library.

LockError and LockNotOwnedError are those of redis-py, whatever the client's library, so that handlers written
for redis-py's locks keep working.
"""

from __future__ import annotations

from redis.exceptions import LockError, LockNotOwnedError

__all__ = ["LockError", "LockNotAcquiredError", "LockNotOwnedError"]


class LockNotAcquiredError(LockError):
    """`async with` of a Redisson made with required=True did not get the lock.

    .. versionadded:: 0.1.0
    """
