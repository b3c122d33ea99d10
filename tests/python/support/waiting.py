"""Waiting for what must happen, instead of sleeping for as long as it might take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

STEP = 0.005  # seconds between two looks


def eventually(predicate: Callable[[], object], timeout: float = 5.0, what: str = "") -> None:
    """Returns as soon as `predicate()` is true; AssertionError after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not predicate():
        assert time.monotonic() < end, what or f"not within {timeout} s: {predicate}"
        time.sleep(STEP)


async def aeventually(predicate: Callable[[], object], timeout: float = 5.0, what: str = "") -> None:
    """The same on a running loop, which turns meanwhile."""
    end = time.monotonic() + timeout
    while not predicate():
        assert time.monotonic() < end, what or f"not within {timeout} s: {predicate}"
        await asyncio.sleep(STEP)


async def turns(count: int) -> None:
    """Lets the loop turn `count` times."""
    for _ in range(count):
        await asyncio.sleep(0)
