"""A process of aioredlock-py joins a key that processes of ours have saturated: does it get its lock?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from benchmarks import contest, original
from benchmarks.bench import Bench, Check, Row, WorkerError
from benchmarks.stats import Spread

TITLE = "the same by 1 and by 4 processes with 20 tasks each; aioredlock-py joins after 10 s"
TARGET = "it holds the lock within 30 s, 5 of 5"

RUNS = 5
LIMIT = 30.0


def run(bench: Bench) -> Row:
    row = Row()
    lead = 3.0 if bench.quick else 10.0
    runs = 2 if bench.quick else RUNS
    waits: dict[int, list[float]] = {1: [], 4: []}
    overlaps = 0
    with bench.server("free") as server:
        for number in range(runs):
            took, overlapping = one_run(server.url, number, lead)
            overlaps += overlapping
            for crowd, seconds in took.items():
                waits[crowd].append(seconds)
    for crowd, values in waits.items():
        row.checks.append(
            Check(
                f"joins {crowd} process(es): the longest of {runs}", Spread.of([max(values)]), LIMIT, unit="s"
            )
        )
        row.figures[f"joins {crowd} process(es): s"] = Spread.of(values)
    row.checks.append(Check("overlapping holds", Spread.of([overlaps]), 0, unit=""))
    if not original.python():
        row.notes.append(original.NOTE)
    return row


def one_run(url: str, number: int, lead: float) -> tuple[dict[int, float], int]:
    """Both crowds at once, on keys of their own: seconds until each joiner first holds, and overlaps."""
    crowds = (1, 4)
    with ExitStack() as stack:
        groups = {}
        for crowd in crowds:
            ours = {"kind": "ours", "tasks": 20, "seconds": lead + LIMIT + 5}
            old = {"kind": original.kind(), "tasks": 1, "seconds": LIMIT, "announce": True}
            wanted = [{**member, "key": f"joined{crowd}-{number}"} for member in [ours] * crowd + [old]]
            groups[crowd] = stack.enter_context(contest.contenders(url, wanted))
        start = contest.begin([member for group in groups.values() for member in group[:-1]]) + lead
        for group in groups.values():
            group[-1].begin(start)
        with ThreadPoolExecutor(len(crowds)) as pool:
            took = dict(
                zip(
                    crowds, pool.map(lambda group: first_hold(group[-1], start), groups.values()), strict=True
                )
            )
        for group in groups.values():
            for member in group:
                member.process.terminate()
        for group in groups.values():
            contest.finish(group, 20)
    return took, sum(contest.overlaps(group) for group in groups.values())


def first_hold(joiner: contest.Contender, start: float) -> float:
    """Seconds until it holds; without limit where it ended before it did."""
    try:
        return float(joiner.expect("held")) - start
    except WorkerError:
        return float("inf")
