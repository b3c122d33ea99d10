"""One process of ours whose twenty tasks want the key all the time: how much of the time is it held?"""

from __future__ import annotations

from benchmarks import contest
from benchmarks.bench import Bench, Check, Row
from benchmarks.stats import Spread

TITLE = "the same key saturated by 1 process of ours with 20 tasks"
TARGET = "held >= 0.88 of the time; nobody gives up"

SECONDS = 10.0


def run(bench: Bench) -> Row:
    row = Row()
    seconds = 4.0 if bench.quick else SECONDS
    shares, gave_up, overlaps = [], 0, 0
    with bench.server("free") as server:
        for number in range(bench.rounds(3)):
            wanted = [{"kind": "ours", "tasks": 20, "seconds": seconds, "key": f"saturated{number}"}]
            with contest.contenders(server.url, wanted) as group:
                start = contest.begin(group)
                contest.finish(group, seconds + 20)
            shares.append(contest.share_held(group, start, seconds))
            gave_up += sum(member.gave_up for member in group)
            overlaps += contest.overlaps(group)
    row.checks = [
        Check("part of the time held", Spread.of(shares), 0.88, unit="", at_least=True),
        Check("tasks that gave up", Spread.of([gave_up]), 0, unit=""),
        Check("overlapping holds", Spread.of([overlaps]), 0, unit=""),
    ]
    return row
