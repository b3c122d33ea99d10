"""Values that hypothesis draws, as a list: for what is tried many at a time, or over a wire."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import Phase, given, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")


def drawn(strategy: SearchStrategy[T], count: int) -> list[T]:
    """`count` different values, the same in each run."""
    found: dict[str, T] = {}

    @settings(max_examples=4 * count, derandomize=True, phases=[Phase.generate])
    @given(strategy)
    def take(value: T) -> None:
        if len(found) < count:
            found.setdefault(repr(value), value)

    take()
    assert len(found) == count, f"only {len(found)} different ones"
    return list(found.values())
