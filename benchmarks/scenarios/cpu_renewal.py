"""Ten thousand held locks with ex=3: what one renewal costs this process, from timer to reply."""

from __future__ import annotations

from benchmarks.bench import Bench, Check, Row
from benchmarks.stats import Spread

TITLE = "CPU per renewal, 10,000 held, ex=3"
TARGET = "<= 5 us"

HELD = 10_000


def run(bench: Bench) -> Row:
    row = Row()
    seconds = 3.0 if bench.quick else 5.0
    costs = []
    for _ in range(bench.rounds(5)):
        with bench.server() as server:
            found = bench.worker("renewals:cost", url=server.url, count=HELD, seconds=seconds)
        costs.append(found["cpu"] / found["renewals"] * 1e6)
        if found["lost"] or found["renewals"] < HELD * seconds / 2:
            row.notes.append(f"{found['renewals']} renewals in {seconds:g} s, {found['lost']} locks lost")
    row.checks = [Check("each renewal", Spread.of(costs), 5, unit="us")]
    return row
