"""Worker: many tasks of one process, each with its own key or all on one, in one of the locks compared."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

from benchmarks import locks, loops


async def job(make: locks.Make, tasks: int, each: int, key: str, shared: bool) -> dict[str, float]:
    """Wall and CPU seconds until all tasks have had their lock `each` times, and how often one had not."""
    failed = 0

    async def user(name: str) -> None:
        nonlocal failed
        for _ in range(each):
            async with make(name) as lock:
                failed += lock is None or lock is False

    crowd = [user(key if shared else f"{key}{i}") for i in range(tasks)]
    wall, cpu = time.perf_counter(), time.process_time()
    ends = await asyncio.gather(*crowd, return_exceptions=True)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    failed += sum(isinstance(end, BaseException) for end in ends)
    return {"wall": wall, "cpu": cpu, "count": tasks * each, "failed": failed}


async def _jobs(
    kind: str, url: str, tasks: int, each: int, shared: bool, jobs: int, arguments: dict[str, Any]
) -> list[dict[str, float]]:
    async with locks.opened(kind, url, warm=min(tasks, 50), **arguments) as make:
        results = []
        for i in range(jobs):
            gc.collect()
            results.append(await job(make, tasks, each, f"crowd{i}-", shared))
        return results


def once(
    kind: str,
    url: str,
    tasks: int,
    each: int,
    shared: bool,
    jobs: int = 1,
    loop: str = "asyncio",
    **arguments: Any,
) -> dict[str, Any]:
    """One round of one lock: wall and CPU seconds for each acquisition (median of the jobs), and failures."""
    done = loops.run(loop, _jobs(kind, url, tasks, each, shared, jobs, arguments))
    middle = sorted(done, key=lambda result: result["wall"])[len(done) // 2]
    return {
        "wall": middle["wall"] / middle["count"],
        "cpu": middle["cpu"] / middle["count"],
        "failed": sum(result["failed"] for result in done),
    }


def rounds(url: str, rounds: int, arms: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Every arm (arguments of `once`) in every round, in turn, forwards and backwards."""
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in arms}
    for i in range(rounds):
        for name in list(arms) if i % 2 else reversed(arms):
            results[name].append(once(url=url, **arms[name]))
    return results
