"""aioredlock-py's behaviour on the wire, for a Python or a client on which that package does not run.

The same commands (`SET key uuid EX ex NX`; EVALSHA of a compare-and-delete and of a compare-and-expire), on
the same schedule: after failed try i, from 0, a pause of `mean * max(0, i - 2) + uniform(l, h)`; a renewal
each 0.667 of `ex`. Written from that description for fair comparisons; the product does not use it.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import Any

RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
RENEW = (
    "if redis.call('get', KEYS[1]) == ARGV[1] then "
    "return redis.call('expire', KEYS[1], tonumber(ARGV[2])) else return 0 end"
)


class StandIn:
    """`async with StandIn(client, key) as lock`: the lock, or None when its tries are used up."""

    def __init__(
        self, redis: Any, key: str, ex: int = 20, low: float = 0.02, high: float = 0.1, tries: int = 10
    ):
        self._redis, self._key, self._ex = redis, f"redisson:{key}", ex
        self._low, self._high, self._tries = low, high, tries
        self._token = str(uuid.uuid4())
        self._renewal: asyncio.Task[None] | None = None

    async def __aenter__(self) -> StandIn | None:
        mean = (self._low + self._high) / 2
        for i in range(self._tries):
            if await self._redis.set(self._key, self._token, nx=True, ex=self._ex):
                self._renewal = asyncio.create_task(self._renew())
                return self
            await asyncio.sleep(mean * max(0, i - 2) + random.uniform(self._low, self._high))
        return None

    async def __aexit__(self, *_: object) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            await self._script(RELEASE)(keys=(self._key,), args=(self._token,))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._ex * 0.667)
            await self._script(RENEW)(keys=(self._key,), args=(self._token, self._ex))

    def _script(self, text: str) -> Any:
        """The client's script object; made once for each client, as aioredlock-py makes its own once."""
        known: dict[str, Any] = self._redis.__dict__.setdefault("_stand_in_scripts", {})
        if text not in known:
            known[text] = self._redis.register_script(text)
        return known[text]
