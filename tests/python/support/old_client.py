"""The commands and the schedule of aioredlock-py 0.1.5, spoken with redis-py.

On Python 3.10, where aioredis imports, `old_lock` is aioredlock-py itself if that is installed.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from types import TracebackType
from typing import Any

import redis.asyncio

RELEASE = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('DEL', KEYS[1])"
RENEW = (
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('EXPIRE', KEYS[1], ARGV[2])"
)


class OldLock:
    """Locks as aioredlock-py does: SET NX EX, up to ten tries, renewal at 0.667 ex, compare-and-delete."""

    def __init__(self, client: redis.asyncio.Redis, key: str, ex: int = 20) -> None:
        self._client, self._name, self._ex = client, f"redisson:{key}", ex
        self._token = str(uuid.uuid4())
        self._renewing: asyncio.Task[None] | None = None

    def uuid(self) -> str:
        return self._token

    async def __aenter__(self) -> OldLock | None:
        for i in range(10):
            if await self._client.set(self._name, self._token, nx=True, ex=self._ex):
                self._renewing = asyncio.create_task(self._renew())
                return self
            await asyncio.sleep(0.06 * max(0, i - 2) + random.uniform(0.02, 0.1))
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await self._client.eval(RELEASE, 1, self._name, self._token)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(0.667 * self._ex)
            await self._client.eval(RENEW, 1, self._name, self._token, self._ex)


def old_lock_and_client(port: int) -> tuple[Any, Any]:
    """(lock class, client): the real ones where they can be imported, else the stand-ins."""
    try:
        import aioredis
        from aioredlock_py import Redisson as Original
    except (ImportError, TypeError):  # aioredis 2.0.1 raises TypeError from Python 3.11 on
        return OldLock, redis.asyncio.Redis(port=port)
    return Original, aioredis.Redis(port=port)
