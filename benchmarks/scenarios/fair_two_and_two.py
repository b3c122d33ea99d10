"""Two processes of aioredlock-py and two of ours on one key: a fleet that migrates process by process."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from benchmarks import contest, original
from benchmarks.bench import Bench, Check, Row
from benchmarks.stats import Spread

TITLE = "2 processes of aioredlock-py and 2 of ours on one key"
TARGET = "the old get >= 0.8 x (beside 4 tasks 0.45 x) of four old ones; ours >= 0.8 x theirs; no overlap"

SECONDS = 10.0
KEYS = 3  # contests of each kind in a run, side by side: one alone is a matter of luck
OLD_TARGET = {1: 0.8, 4: 0.45}


def run(bench: Bench) -> Row:
    row = Row()
    seconds = 4.0 if bench.quick else SECONDS
    found: dict[str, list[float]] = {}
    overlaps = 0
    with bench.server("free") as server:
        for number in range(bench.rounds(5)):
            groups = one_run(server.url, number, seconds)
            overlaps += sum(contest.overlaps(group) for group in groups.values())
            for name, value in figures(groups).items():
                found.setdefault(name, []).append(value)
    for tasks, target in OLD_TARGET.items():
        row.checks += [
            Check(
                f"beside {tasks} task(s): the old to four old ones",
                Spread.of(found[f"old {tasks}"]),
                target,
                at_least=True,
            ),
            Check(
                f"with {tasks} task(s): ours to theirs", Spread.of(found[f"ours {tasks}"]), 0.8, at_least=True
            ),
        ]
    row.checks.append(Check("overlapping holds", Spread.of([overlaps]), 0, unit=""))
    row.figures["an old process among four: holds/s"] = Spread.of(n / seconds for n in found["four"])
    if not original.python():
        row.notes.append(original.NOTE)
    return row


def one_run(url: str, number: int, seconds: float) -> dict[str, list[contest.Contender]]:
    """Four old ones, and both mixtures, at the same time on keys of their own; each mixture KEYS times."""
    old = {"kind": original.kind(), "tasks": 1, "seconds": seconds}
    mixes: dict[str, list[dict[str, Any]]] = {"four": [old] * 4}
    for tasks in OLD_TARGET:
        mixes[f"mix {tasks}"] = [old, old] + [{"kind": "ours", "tasks": tasks, "seconds": seconds}] * 2
    with ExitStack() as stack:
        groups = {
            f"{name}, {place}": stack.enter_context(
                contest.contenders(url, [{**member, "key": f"{name}-{number}-{place}"} for member in mix])
            )
            for name, mix in mixes.items()
            for place in range(KEYS)
        }
        contest.begin([member for group in groups.values() for member in group])
        for group in groups.values():
            contest.finish(group, seconds + 20)
    return groups


def figures(groups: dict[str, list[contest.Contender]]) -> dict[str, float]:
    """Holds of an old process among four; how much of that it gets beside ours, and ours beside it."""
    four = holds(groups, "four", ours=False) / 4
    result = {"four": four}
    for tasks in OLD_TARGET:
        old = holds(groups, f"mix {tasks}", ours=False) / 2
        ours = holds(groups, f"mix {tasks}", ours=True) / 2
        result[f"old {tasks}"] = old / max(four, 1)
        result[f"ours {tasks}"] = ours / max(old, 1)
    return result


def holds(groups: dict[str, list[contest.Contender]], name: str, ours: bool) -> float:
    """How often the processes of one kind held the lock, in the mean of a mixture's contests."""
    logs = [
        len(member.log)
        for place in range(KEYS)
        for member in groups[f"{name}, {place}"]
        if (member.kind == "ours") == ours
    ]
    return sum(logs) / KEYS
