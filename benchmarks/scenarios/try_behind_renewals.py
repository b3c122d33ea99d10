"""Ten thousand leases are renewed each second: how long does somebody wait who only wants a free lock?"""

from __future__ import annotations

from benchmarks.bench import Bench, Check, Row
from benchmarks.stats import Spread

TITLE = "a TRY behind the renewal of 10,000 leases"
TARGET = "<= 10 ms, the longest of the run"

HELD = 10_000


def run(bench: Bench) -> Row:
    row = Row()
    seconds = 3.0 if bench.quick else 5.0
    found = []
    for _ in range(bench.rounds(5)):
        with bench.server() as server:
            found.append(bench.worker("renewals:behind", url=server.url, count=HELD, seconds=seconds))
    row.checks = [Check("longest TRY of a run", Spread.of(one["max"] for one in found), 10, unit="ms")]
    row.figures = {
        "longest TRY with nothing held: ms": Spread.of(one["alone_max"] for one in found),
        "median TRY: ms": Spread.of(one["median"] for one in found),
        "median TRY with nothing held: ms": Spread.of(one["alone"] for one in found),
        "renewals meanwhile": Spread.of(one["renewals"] for one in found),
    }
    if any(one["renewals"] < HELD * seconds / 2 for one in found):
        row.notes.append("fewer renewals than the leases called for")
    return row
