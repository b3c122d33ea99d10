"""Worker: many waiters cancelled at once, beside as many tasks that wait for nothing but a future."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Coroutine
from typing import Any

from benchmarks.memory import malloced, rss
from benchmarks.server import Server


def descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/dev/fd"))


async def cancel(crowd: list[Coroutine[Any, Any, None]], turns: int) -> float:
    """Starts all, lets them come to rest, cancels all: seconds until the last task has ended."""
    tasks = [asyncio.create_task(one) for one in crowd]
    for _ in range(turns):
        await asyncio.sleep(0.005)
    gc.collect()
    begin = time.perf_counter()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    seconds = time.perf_counter() - begin
    if not all(task.cancelled() for task in tasks):
        raise RuntimeError("a task was not cancelled")
    return seconds


async def _wait_for_future() -> None:
    await asyncio.get_running_loop().create_future()


async def _wait_for_lock(client: Any, key: str) -> None:
    from aioredlock_c import Redisson

    async with Redisson(client, key=key, retry_count=None):
        raise RuntimeError("the lock is held elsewhere")


async def measure(url: str, rounds: int, waiters: int, keys: int) -> dict[str, Any]:
    """Seconds of each round for waiters and for futures; bytes, descriptors and server keys left behind."""
    from redis.asyncio import Redis

    client: Any = Redis.from_url(url)
    server = Server(int(url.rpartition(":")[2].partition("/")[0]), 0)
    names = [f"cancel{i % keys}" for i in range(waiters)]
    await client.mset({f"redisson:{name}": "held-elsewhere" for name in set(names)})
    result: dict[str, Any] = {"ours": [], "futures": []}
    before = 0, 0, ""
    for i in range(rounds + 1):
        arms = {
            "ours": lambda: cancel([_wait_for_lock(client, name) for name in names], 40),
            "futures": lambda: cancel([_wait_for_future() for _ in names], 4),
        }
        for arm in arms if i % 2 else reversed(arms):
            seconds = await arms[arm]()
            if i:
                result[arm].append(seconds)
        if i == 0:  # the first round is warm-up: what it leaves is the state to come back to
            await asyncio.sleep(1)
            gc.collect()
            before = malloced() or rss(), descriptors(), server.command("DBSIZE")
    await asyncio.sleep(1)
    gc.collect()
    result["bytes"] = (malloced() or rss()) - before[0]
    result["descriptors"] = descriptors() - before[1]
    result["keys"] = int(server.command("DBSIZE")) - int(before[2])
    result["tasks"] = len(asyncio.all_tasks()) - 1
    await client.aclose()
    return result
