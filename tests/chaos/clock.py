"""The clock that all processes of a run share: the lease's own, which counts sleep; how late a loop is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Seconds on the shared clock."""
    return time.clock_gettime(_CLOCK)


TICK = 0.05  # seconds
LATE = 0.02  # seconds: what is less is no delay


async def watch_loop(tell: Callable[[float, float], object]) -> None:
    """Tells from when to when the running loop stood still or was slow, until it is cancelled."""
    while True:
        began = now()
        await asyncio.sleep(TICK)
        if (ended := now()) > began + TICK + LATE:
            tell(began, ended)
