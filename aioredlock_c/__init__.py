"""Distributed locks for asyncio on Redis and Valkey, in C; a drop-in replacement for aioredlock-py.

Inside a coroutine::

    from aioredlock_c import Redisson

    async with Redisson(client, key="no1") as lock:
        ...
"""

from __future__ import annotations

try:
    from ._core import Redisson
except ModuleNotFoundError as error:
    if error.name != f"{__name__}._core":
        raise
    raise ImportError(
        "aioredlock_c._core is not built for this Python: in a clone run `make build`, elsewhere "
        "`pip install --force-reinstall aioredlock_c` with a C compiler and Python's headers"
    ) from error
from .connect import aclose
from .counters import stats
from .exceptions import LockError, LockLostError, LockNotAcquiredError, LockNotOwnedError

__all__ = [
    "LockError",
    "LockLostError",
    "LockNotAcquiredError",
    "LockNotOwnedError",
    "Redisson",
    "aclose",
    "stats",
]

__version__ = "0.1.0"
