"""The clock that all processes of a run share: the lease's own, which counts sleep."""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Seconds on the shared clock."""
    return time.clock_gettime(_CLOCK)
