"""Fifty tasks, each with a key of its own: nobody waits for anybody, so the machinery alone is measured."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks import original
from benchmarks.bench import Bench, Check, Row
from benchmarks.floors import Pair, blocking
from benchmarks.server import pinned
from benchmarks.stats import Spread, ratios

TITLE = "50 tasks, each its own key"
TARGET = ">= 30 x redis-py's asyncio Lock in pairs/s"


def run(bench: Bench) -> Row:
    row = Row()
    own: dict[str, Any] = {"tasks": 50, "shared": False}
    arms = {
        "ours": {**own, "kind": "ours", "each": 100, "jobs": 3},
        "redis-py": {**own, "kind": "redis-py", "each": 8},
        "ours, uvloop": {**own, "kind": "ours", "each": 100, "jobs": 3, "loop": "uvloop"},
        "redis-py, uvloop": {**own, "kind": "redis-py", "each": 8, "loop": "uvloop"},
    }
    old, ceiling = [], []
    pair = Pair.of_product("ceiling")
    with bench.server() as server:
        found = bench.worker("crowd:rounds", url=server.url, rounds=bench.rounds(9), arms=arms)
        for _ in range(bench.rounds(3)):
            old.append(
                bench.worker(
                    "crowd:once",
                    python=original.python() or sys.executable,
                    url=server.url,
                    kind=original.kind(),
                    each=8,
                    **own,
                )
            )
            with pinned(bench.placements["two"].client):
                wall, _ = blocking.run(blocking.build(), pair, server.port, 50_000, depth=50)
            ceiling.append(50_000 / wall)
    walls = {name: [result["wall"] for result in results] for name, results in found.items()}
    row.checks = [
        Check("asyncio: pairs/s to redis-py's", ratios(walls["redis-py"], walls["ours"]), 30, at_least=True),
        Check(
            "uvloop: pairs/s to redis-py's on uvloop",
            ratios(walls["redis-py, uvloop"], walls["ours, uvloop"]),
            30,
            at_least=True,
            judged=False,
        ),
    ]
    walls[original.kind()] = [result["wall"] for result in old]
    for name, values in walls.items():
        row.figures[f"{name}: pairs/s"] = Spread.of(1 / value for value in values)
    row.figures["blocking C, 50 keys in each write: pairs/s"] = Spread.of(ceiling)
    row.figures["ours: us of CPU a pair"] = Spread.of(result["cpu"] * 1e6 for result in found["ours"])
    return row
