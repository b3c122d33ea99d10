"""Loaded by `-p support.sharing`: one of several runs that share the tests (--share=I/N).

At its end no object of ours is left. A leaked reference keeps its object in the garbage collector's lists,
and there no leak sanitizer sees a leak.
"""

from __future__ import annotations

import gc
from collections import Counter

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", default="0/1", help="I/N: of the tests each N-th, from the I-th on")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    first, step = config.getoption("--share").split("/")
    items[:] = items[int(first) :: int(step)]


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
