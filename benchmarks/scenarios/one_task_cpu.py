"""What a pair costs the processor, beside the loop's own floor."""

from __future__ import annotations

from benchmarks.bench import Bench, Check, Row
from benchmarks.loops import LOOPS
from benchmarks.scenarios.one_task_pairs import PLACEMENTS, measure
from benchmarks.stats import Spread, ratios

TITLE = "CPU per pair, one task"
TARGET = "<= 1.2 x the loop's own floor"


def run(bench: Bench) -> Row:
    row = Row()
    for placement in PLACEMENTS:
        found = measure(bench, placement)
        where = bench.placements[placement].name
        for loop in LOOPS:
            ours, floor = found[f"{loop} ours"]["cpu"], found[f"{loop} floor"]["cpu"]
            row.checks.append(Check(f"{loop}, {where}: to the loop's floor", ratios(ours, floor), 1.2))
        for arm, values in found.items():
            row.figures[f"{arm}, {where}: us of CPU a pair"] = Spread.of(values["cpu"])
    return row
