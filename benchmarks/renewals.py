"""Workers that hold many leases: what their renewal costs, and how long a TRY waits behind it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks.server import Server
from benchmarks.stats import Spread

EX = 3  # seconds: a renewal of each lease about every second


async def _hold(client: Any, count: int) -> list[Any]:
    """Takes `count` locks, a few hundred at a time, as fast as the server gives them."""
    from aioredlock_c import Redisson

    kept = [Redisson(client, key=f"renewed{i}", ex=EX) for i in range(count)]
    for i in range(0, count, 500):
        if not all(await asyncio.gather(*(lock.acquire() for lock in kept[i : i + 500]))):
            raise RuntimeError("a lock was not acquired")
    return kept


async def _let_go(client: Any, kept: list[Any]) -> None:
    for i in range(0, len(kept), 500):
        await asyncio.gather(*(lock.release() for lock in kept[i : i + 500]))
    await client.aclose()


async def cost(url: str, count: int, seconds: float) -> dict[str, float]:
    """Holds, and does nothing else: CPU seconds, renewals executed by the server, locks lost."""
    from redis.asyncio import Redis

    client: Any = Redis.from_url(url)
    server = Server(int(url.rpartition(":")[2].partition("/")[0]), 0)
    kept = await _hold(client, count)
    await asyncio.sleep(1)
    calls, cpu = server.calls("evalsha"), time.process_time()
    await asyncio.sleep(seconds)
    cpu, calls = time.process_time() - cpu, server.calls("evalsha") - calls
    lost = sum(not lock.is_locked() for lock in kept)
    await _let_go(client, kept)
    return {"cpu": cpu, "renewals": calls, "lost": lost}


async def _probe(client: Any, seconds: float) -> list[float]:
    """Milliseconds that each acquire of a free key took, one every few milliseconds."""
    from aioredlock_c import Redisson

    took = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        lock = Redisson(client, key="probe", ex=EX)
        begin = time.perf_counter()
        if not await lock.acquire():
            raise RuntimeError("the probe was not acquired")
        took.append((time.perf_counter() - begin) * 1e3)
        await lock.release()
        await asyncio.sleep(0.001)
    return took


async def behind(url: str, count: int, seconds: float) -> dict[str, float]:
    """The longest and the median TRY in ms: while nothing else is held, and while `count` leases are."""
    from redis.asyncio import Redis

    client: Any = Redis.from_url(url)
    server = Server(int(url.rpartition(":")[2].partition("/")[0]), 0)
    alone = await _probe(client, seconds)
    kept = await _hold(client, count)
    await asyncio.sleep(0.5)
    calls = server.calls("evalsha")
    beside = await _probe(client, seconds)
    renewals = server.calls("evalsha") - calls - len(beside)
    await _let_go(client, kept)
    return {
        "alone_max": max(alone),
        "alone": Spread.of(alone).median,
        "max": max(beside),
        "median": Spread.of(beside).median,
        "renewals": renewals,
        "probes": len(beside),
    }
