"""Locks that are lost while a test looks, and what is left in the task whose body was cancelled for it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from aioredlock_c import Redisson
from support.waiting import turns


def outlive(*locks: Redisson) -> None:
    """Blocks the loop until the leases are over; made with stall_limit=0, nobody else keeps them."""
    time.sleep(max(lock.remaining() for lock in locks) + 0.003)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged by the locks."""
    return [record.getMessage() for record in caplog.records if record.name == "aioredlock_c"]


def requests() -> int:
    """How many requests to cancel the running task are open (from Python 3.11 on)."""
    task: Any = asyncio.current_task()
    return int(task.cancelling())


async def check_sound(after_group: bool = False) -> None:
    """Nothing is left of a cancel: what is awaited now is not disturbed.

    after_group: before Python 3.13 a TaskGroup whose child has failed may leave a request of its own.
    """
    assert after_group or requests() == 0
    await turns(4)
    await asyncio.sleep(0.01)
