"""Ten thousand tasks wait for a thousand keys that are held elsewhere; all are cancelled in one turn."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench, Check, Row
from benchmarks.memory import METERS
from benchmarks.stats import Spread, ratios

TITLE = "10,000 waiters on 1,000 keys, all cancelled at once"
TARGET = "<= 2 x cancelling 10,000 bare futures; memory, descriptors, server keys as before"

CROWD: dict[str, Any] = {"waiters": 10_000, "keys": 1_000}


def run(bench: Bench) -> Row:
    row = Row()
    with bench.server() as server:
        found = bench.worker("cancel:measure", url=server.url, rounds=bench.rounds(9), **CROWD)
        left = bench.worker("cancel:measure", env=METERS["malloc"], url=server.url, rounds=3, **CROWD)
    row.checks = [
        Check("to as many bare futures", ratios(found["ours"], found["futures"]), 2),
        # A leak would be 3 MiB a round and more; the loop's own set of tasks grows by steps of half a MiB.
        Check("memory left behind by three rounds", Spread.of([left["bytes"] / 2**20]), 2, unit="MiB"),
        Check("descriptors left behind", Spread.of([found["descriptors"]]), 0, unit=""),
        Check("server keys left behind", Spread.of([found["keys"]]), 0, unit=""),
    ]
    row.figures["ours: ms"] = Spread.of(seconds * 1e3 for seconds in found["ours"])
    row.figures["bare futures: ms"] = Spread.of(seconds * 1e3 for seconds in found["futures"])
    return row
