"""Runs a coroutine on the event loop that is named."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

LOOPS = ("asyncio", "uvloop")


def run(loop: str, coroutine: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on `asyncio` or `uvloop`."""
    if loop == "asyncio":
        return asyncio.run(coroutine)
    uvloop: Any = importlib.import_module("uvloop")
    event_loop = uvloop.new_event_loop()
    try:
        asyncio.set_event_loop(event_loop)
        result: T = event_loop.run_until_complete(coroutine)
        event_loop.run_until_complete(event_loop.shutdown_asyncgens())
        return result
    finally:
        asyncio.set_event_loop(None)
        event_loop.close()
