"""Twenty tasks of one process, ten times each, all on one key: the original README's job without its INCR."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks import original
from benchmarks.bench import Bench, Check, Row
from benchmarks.stats import Spread, ratios

TITLE = "one key, 20 tasks x 10, one process"
TARGET = "<= 20 us for each acquisition; >= 300 x redis-py's Lock"


def run(bench: Bench) -> Row:
    row = Row()
    job: dict[str, Any] = {"tasks": 20, "each": 10, "shared": True}
    arms = {"ours": {**job, "kind": "ours", "jobs": 5}, "redis-py": {**job, "kind": "redis-py"}}
    with bench.server() as server:
        found = bench.worker("crowd:rounds", url=server.url, rounds=bench.rounds(7), arms=arms)
        old = [
            bench.worker(
                "crowd:once",
                python=original.python() or sys.executable,
                url=server.url,
                kind=original.kind(),
                **job,
            )
            for _ in range(bench.rounds(3))
        ]
    walls = {name: [result["wall"] for result in results] for name, results in found.items()}
    each = Spread.of(value * 1e6 for value in walls["ours"])
    row.checks = [
        Check("each acquisition", each, 20, unit="us"),
        Check("acquisitions/s to redis-py's", ratios(walls["redis-py"], walls["ours"]), 300, at_least=True),
        Check(
            "tasks that gave up",
            Spread.of([sum(result["failed"] for result in found["ours"])]),
            0,
            unit="",
            judged=False,
        ),
    ]
    walls[original.kind()] = [result["wall"] for result in old]
    for name, values in walls.items():
        row.figures[f"{name}: us each"] = Spread.of(value * 1e6 for value in values)
    row.figures[f"{original.kind()}: tries used up"] = Spread.of(result["failed"] for result in old)
    return row
