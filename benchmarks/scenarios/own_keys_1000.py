"""A thousand tasks, each with a key of its own: twenty times the tasks must neither slow it down nor fail."""

from __future__ import annotations

from benchmarks.bench import Bench, Check, Row
from benchmarks.stats import Spread, ratios

TITLE = "1,000 tasks, each its own key"
TARGET = ">= 30 x redis-py's figure for 50 tasks; nothing fails"


def run(bench: Bench) -> Row:
    row = Row()
    arms = {
        "ours": {"kind": "ours", "tasks": 1000, "each": 10, "shared": False, "jobs": 3},
        "redis-py, 50 tasks": {"kind": "redis-py", "tasks": 50, "each": 8, "shared": False},
    }
    with bench.server() as server:
        found = bench.worker("crowd:rounds", url=server.url, rounds=bench.rounds(9), arms=arms)
    walls = {name: [result["wall"] for result in results] for name, results in found.items()}
    failed = Spread.of(result["failed"] for result in found["ours"])
    row.checks = [
        Check(
            "pairs/s to redis-py's 50 tasks",
            ratios(walls["redis-py, 50 tasks"], walls["ours"]),
            30,
            at_least=True,
        ),
        Check("failures", Spread.of([failed.high]), 0, unit=""),
    ]
    for name, values in walls.items():
        row.figures[f"{name}: pairs/s"] = Spread.of(1 / value for value in values)
    return row
