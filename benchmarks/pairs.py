"""Worker: one task, pairs one after another, the product beside its floors, round by round."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from benchmarks import locks, loops
from benchmarks.floors import Pair, blocking, protocol

KEY = "pairs"


async def product(url: str, count: int) -> tuple[float, float]:
    """Wall and CPU seconds of `count` times `async with Redisson(..)`."""
    async with locks.opened("ours", url) as make:
        await _pairs(make, max(1, count // 10))
        wall, cpu = time.perf_counter(), time.process_time()
        await _pairs(make, count)
        return time.perf_counter() - wall, time.process_time() - cpu


async def _pairs(make: locks.Make, count: int) -> None:
    for _ in range(count):
        async with make(KEY) as lock:
            if lock is None:
                raise RuntimeError("the lock was not acquired")


def _on(
    kind: str, function: Callable[..., Coroutine[Any, Any, tuple[float, float]]], *arguments: Any
) -> tuple[float, float]:
    return loops.run(kind, function(*arguments))


def measure(url: str, port: int, program: str, rounds: int, count: int, kinds: list[str]) -> dict[str, Any]:
    """For each arm and round: microseconds of wall and of CPU time a pair. `kinds` are the loops to use."""
    pair = Pair.of_product(KEY)
    arms: dict[str, Callable[[], tuple[float, float]]] = {
        "C": partial(blocking.run, program, pair, port, count)
    }
    for kind in kinds:
        arms[f"{kind} floor"] = partial(_on, kind, protocol.run, pair, port, count)
        arms[f"{kind} ours"] = partial(_on, kind, product, url, count)
    results: dict[str, Any] = {name: {"wall": [], "cpu": []} for name in arms}
    blocking.run(program, pair, port, 10)  # loads the script
    for i in range(rounds + 1):
        for name in list(arms) if i % 2 else reversed(arms):
            gc.collect()
            wall, cpu = arms[name]()
            if i:  # the first round is warm-up
                results[name]["wall"].append(wall / count * 1e6)
                results[name]["cpu"].append(cpu / count * 1e6)
    return results
