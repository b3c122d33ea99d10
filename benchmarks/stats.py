"""Medians with their spread: a single figure of a shared machine says little."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A sample in three figures: the median and the quartiles around it."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Sums up at least one value."""
        sample = sorted(values)
        if len(sample) < 2:
            return cls(sample[0], sample[0], sample[0], 1)
        low, median, high = statistics.quantiles(sample, n=4, method="inclusive")
        return cls(median, low, high, len(sample))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """The ratio of each round, so that a machine that drifts between rounds moves both sides alike."""
    return Spread.of(a / b for a, b in zip(ours, theirs, strict=True))
