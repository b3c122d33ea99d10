"""A thousand tasks queue for one key, ten times each: what an acquisition and what a waiter costs."""

from __future__ import annotations

from benchmarks.bench import Bench, Check, Row
from benchmarks.memory import METERS
from benchmarks.stats import Spread

TITLE = "one key, 1,000 tasks x 10, retry_count=None"
TARGET = "<= 40 us for each acquisition, pauses included; nobody gives up; <= 512 bytes a waiter"

WAITERS = 10_000


def run(bench: Bench) -> Row:
    row = Row()
    arms = {"ours": {"kind": "ours", "tasks": 1000, "each": 10, "shared": True, "retry_count": None}}
    with bench.server() as server:
        found = bench.worker("crowd:rounds", url=server.url, rounds=bench.rounds(7), arms=arms)["ours"]
        sizes: dict[str, list[float]] = {"rss": [], "malloc": []}
        for meter in sizes:
            for _ in range(bench.rounds(5) if meter == "rss" else 1):
                with_lock, without = (
                    bench.worker(
                        "memory:waiters", env=METERS[meter], url=server.url, count=WAITERS, locks=locks
                    )[meter]
                    for locks in (True, False)
                )
                sizes[meter].append((with_lock - without) / WAITERS)
    row.checks = [
        Check("each acquisition", Spread.of(result["wall"] * 1e6 for result in found), 40, unit="us"),
        Check("tasks that gave up", Spread.of([sum(result["failed"] for result in found)]), 0, unit=""),
        Check("memory for each waiter (RSS)", Spread.of(sizes["rss"]), 512, unit="B"),
    ]
    row.figures["memory for each waiter, malloc's own count: B"] = Spread.of(sizes["malloc"])
    row.figures["us of CPU each"] = Spread.of(result["cpu"] * 1e6 for result in found)
    return row
