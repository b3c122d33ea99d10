"""Loaded by `-p support.census`: when all tests are done, no object of ours is left.

A leaked reference keeps its object in the garbage collector's lists, where no leak sanitizer sees a leak."""

from __future__ import annotations

import gc
from collections import Counter

import pytest


def living() -> Counter[str]:
    """How many objects of each type of ours there are."""
    gc.collect()
    types = (type(thing) for thing in gc.get_objects())
    return Counter(kind.__name__ for kind in types if kind.__module__ == "aioredlock_c._core")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus != pytest.ExitCode.OK:
        return  # what failed is kept, with all that its frames hold
    left = living()
    if left:
        print(f"\nleft when all tests were done: {dict(left)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
