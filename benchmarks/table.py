"""The table that a run prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmarks.bench import Check, Row
from benchmarks.stats import Spread


def number(value: float) -> str:
    """Three significant figures, without an exponent."""
    if value == int(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{digits}f}"


def spread(value: Spread, unit: str = "") -> str:
    """The median, and the quartiles where there are any."""
    unit = f" {unit}" if unit else ""
    if value.count == 1:
        return number(value.median) + unit
    return f"{number(value.median)}{unit} [{number(value.low)} .. {number(value.high)}]"


def verdict(check: Check) -> str:
    if not check.judged:
        return "for comparison"
    return "met" if check.met else "NOT MET"


def lines(title: str, target: str, row: Row, seconds: float) -> Iterator[str]:
    """One scenario: its checks, what is behind them, remarks."""
    yield f"{title}  ({seconds:.0f} s)"
    yield f"  target: {target}"
    for check in row.checks:
        bound = ">=" if check.at_least else "<="
        unit = f" {check.unit}" if check.unit else ""
        wanted = f"{bound} {number(check.target)}{unit}"
        yield f"  {check.what:<50} {spread(check.measured, check.unit):<32} {wanted:<14} {verdict(check)}"
    for name, value in row.figures.items():
        yield f"    {name:<48} {spread(value)}"
    for note in row.notes:
        yield f"    note: {note}"


def summary(rows: Iterable[tuple[str, Row | None]]) -> Iterator[str]:
    """One line for each scenario of the run."""
    yield "scenario"
    for title, row in rows:
        state = "failed to run" if row is None else "met" if row.met else "NOT MET"
        yield f"  {title:<92} {state}"
