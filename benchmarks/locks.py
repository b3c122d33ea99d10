"""The locks that are compared, each opened the way its own documentation says, all on the same keys."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator, Callable
from typing import Any

EX = 10  # seconds; of every lock here

Make = Callable[[str], Any]  # key -> an asynchronous context manager, one for each use


@contextlib.asynccontextmanager
async def opened(kind: str, url: str, warm: int = 1, **arguments: Any) -> AsyncIterator[Make]:
    """A maker of locks of `kind` for the time of the block, its connections (`warm` of them) open already.

    Kinds: `ours`; `redis-py`, its asyncio Lock; `aioredlock-py` (Python 3.10 with aioredis 2.0.1 only);
    `stand-in`, which speaks aioredlock-py's commands on its schedule. `arguments` are for `ours`.
    """
    client = _client(kind, url)
    try:
        await asyncio.gather(*(client.ping() for _ in range(warm)))
        make = _maker(kind, client, arguments)
        async with make("warm"):
            pass
        yield make
    finally:
        await (client.close() if kind == "aioredlock-py" else client.aclose())
        if kind == "aioredlock-py":
            await client.connection_pool.disconnect()


def _client(kind: str, url: str) -> Any:
    if kind == "aioredlock-py":
        return importlib.import_module("aioredis").from_url(url)
    from redis.asyncio import Redis

    return Redis.from_url(url)


def _maker(kind: str, client: Any, arguments: dict[str, Any]) -> Make:
    if kind == "ours":
        from aioredlock_c import Redisson

        return lambda key: Redisson(client, key=key, ex=EX, **arguments)
    if kind == "redis-py":
        return lambda key: client.lock(f"redisson:{key}", timeout=EX)
    if kind == "aioredlock-py":
        original = importlib.import_module("aioredlock_py")
        return lambda key: original.Redisson(client, key=key, ex=EX)
    from benchmarks.standin import StandIn

    return lambda key: StandIn(client, key=key, ex=EX)
