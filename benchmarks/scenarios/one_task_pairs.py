"""One task takes and releases one lock again and again: how near is it to the least that is possible?"""

from __future__ import annotations

import sys
from typing import Any

from benchmarks import original
from benchmarks.bench import Bench, Check, Row
from benchmarks.floors import blocking
from benchmarks.loops import LOOPS
from benchmarks.stats import Spread, ratios

TITLE = "one task, pairs one after another"
TARGET = "<= 1.15 x the loop's own floor; <= 1.25 x (uvloop), 1.5 x (asyncio; 1.6 x from 3.13) blocking C"

PLACEMENTS = ("two", "one")
_measured: dict[tuple[Bench, str], Any] = {}


def measure(bench: Bench, placement: str) -> Any:
    """Wall and CPU of each arm, measured once in a run and used by the row of CPU time too."""
    if (bench, placement) not in _measured:
        with bench.server(placement) as server:
            _measured[bench, placement] = bench.worker(
                "pairs:measure",
                placement,
                timeout=150,
                url=server.url,
                port=server.port,
                program=blocking.build(),
                rounds=bench.rounds(15),
                count=500 if bench.quick else 1000,
                kinds=LOOPS,
            )
    return _measured[bench, placement]


def c_target(loop: str) -> float:
    if loop == "uvloop":
        return 1.25
    return 1.5 if sys.version_info < (3, 13) else 1.6


def run(bench: Bench) -> Row:
    row = Row()
    for placement in PLACEMENTS:
        found = measure(bench, placement)
        where = bench.placements[placement].name
        for loop in LOOPS:
            ours, floor, c = (found[arm]["wall"] for arm in (f"{loop} ours", f"{loop} floor", "C"))
            row.checks.append(Check(f"{loop}, {where}: to the loop's floor", ratios(ours, floor), 1.15))
            row.checks.append(Check(f"{loop}, {where}: to blocking C", ratios(ours, c), c_target(loop)))
        for arm, values in found.items():
            row.figures[f"{arm}, {where}: us a pair"] = Spread.of(values["wall"])
    for kind, python in (("redis-py", None), (original.kind(), original.python())):
        walls = peer(bench, kind, python or sys.executable)
        row.figures[f"{kind}, {bench.placements['two'].name}: us a pair"] = Spread.of(walls)
    return row


def peer(bench: Bench, kind: str, python: str) -> list[float]:
    """Microseconds a pair of another lock, on asyncio: for the chart."""
    with bench.server() as server:
        found = [
            bench.worker(
                "crowd:once", python=python, url=server.url, kind=kind, tasks=1, each=500, shared=True
            )
            for _ in range(bench.rounds(3))
        ]
    return [one["wall"] * 1e6 for one in found]
