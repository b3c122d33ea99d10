"""Workers that measure memory: of waiters and of held locks, in a process that does nothing else."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import subprocess
from typing import Any

from benchmarks.server import Server

# How a worker must be started for each meter: malloc sees Python's small objects only without pymalloc.
METERS: dict[str, dict[str, str]] = {"rss": {}, "malloc": {"PYTHONMALLOC": "malloc"}}


def rss() -> int:
    """Bytes of this process that are in memory."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        out = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True
        )
        return int(out.stdout) * 1024


class _Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def malloced() -> int:
    """Bytes that glibc's malloc has given out; 0 where it is another malloc."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    mallinfo2.restype = _Mallinfo
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd)


def grown(before: tuple[int, int]) -> dict[str, int]:
    """Bytes since `before` by either meter."""
    now = meters()
    return {"rss": now[0] - before[0], "malloc": now[1] - before[1]}


def meters() -> tuple[int, int]:
    gc.collect()
    return rss(), malloced()


class Gate:
    """`async with gate`: waits for a plain future. What is left of a user's task without any lock."""

    def __init__(self, opened: asyncio.Future[None]) -> None:
        self._opened = opened

    def __aenter__(self) -> asyncio.Future[None]:
        return self._opened

    async def __aexit__(self, *_: object) -> None:
        pass


async def waiters(url: str, count: int, locks: bool) -> dict[str, int]:
    """Bytes by which the process grows when `count` tasks wait: for one lock held elsewhere or a gate."""
    from redis.asyncio import Redis

    client: Any = Redis.from_url(url)
    server = Server(int(url.rpartition(":")[2].partition("/")[0]), 0)
    gate = Gate(asyncio.get_running_loop().create_future())
    server.command("SET", "redisson:queue", "held-elsewhere")

    async def user(lock: Any) -> None:
        async with lock:
            pass

    async def queue(number: int) -> list[asyncio.Task[None]]:
        tasks = []
        for _ in range(number):
            tasks.append(asyncio.create_task(user(_lock(client) if locks else gate)))
        for _ in range(50):
            await asyncio.sleep(0.002)
        return tasks

    try:
        early = await queue(100)
        before = meters()
        late = await queue(count)
        result = grown(before)
        for task in early + late:
            task.cancel()
        await asyncio.gather(*early, *late, return_exceptions=True)
        return result
    finally:
        server.command("DEL", "redisson:queue")
        await client.aclose()


def _lock(client: Any) -> Any:
    from aioredlock_c import Redisson

    return Redisson(client, key="queue", retry_count=None)


async def held(url: str, count: int) -> dict[str, int]:
    """Bytes by which the process grows when it holds `count` locks, each renewed at least once."""
    from redis.asyncio import Redis

    from aioredlock_c import Redisson

    client: Any = Redis.from_url(url)
    keys = [f"held{i}" for i in range(count + 100)]
    kept: list[Any] = []

    async def hold(some: list[str]) -> None:
        for key in some:
            lock = Redisson(client, key=key, ex=3)
            if not await lock.acquire():
                raise RuntimeError(f"{key} was not acquired")
            kept.append(lock)

    await hold(keys[count:])
    before = meters()
    await hold(keys[:count])
    await asyncio.sleep(2.2)  # two renewals of each
    result = grown(before)
    result["lost"] = sum(not lock.is_locked() for lock in kept)
    for i in range(0, len(kept), 500):
        await asyncio.gather(*(lock.release() for lock in kept[i : i + 500]))
    await client.aclose()
    return result
