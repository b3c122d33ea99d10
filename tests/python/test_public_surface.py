"""What the package exports, and that all of it is documented."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions

import aioredlock_c

EXPORTS = {"Redisson", "aclose", "stats", "LockLostError", "LockNotAcquiredError", "LockNotOwnedError"}
MEMBERS = [
    *("acquire", "release", "extend", "locked", "is_locked", "ensure_held", "remaining", "uuid"),
    *("key", "redis", "carry", "__aenter__", "__aexit__"),
]


def test_what_is_exported() -> None:
    assert set(aioredlock_c.__all__) >= EXPORTS
    for name in aioredlock_c.__all__:
        assert hasattr(aioredlock_c, name), name
    namespace: dict[str, Any] = {}
    exec("from aioredlock_c import *", namespace)
    assert EXPORTS <= set(namespace)


def test_the_errors_fit_redis_pys() -> None:
    assert aioredlock_c.LockNotOwnedError is redis.exceptions.LockNotOwnedError
    assert issubclass(aioredlock_c.LockNotAcquiredError, redis.exceptions.LockError)
    assert issubclass(aioredlock_c.LockLostError, redis.exceptions.LockNotOwnedError)
    assert not issubclass(aioredlock_c.LockNotAcquiredError, redis.exceptions.LockNotOwnedError)


def test_types_are_shipped() -> None:
    package = Path(aioredlock_c.__file__).parent
    assert (package / "py.typed").exists()
    assert (package / "_core.pyi").exists()


def test_the_type_shows_where_it_is_from() -> None:
    assert aioredlock_c.Redisson.__module__ == "aioredlock_c"
    assert aioredlock_c.Redisson.__name__ == aioredlock_c.Redisson.__qualname__ == "Redisson"


@pytest.mark.parametrize("name", sorted(EXPORTS - {"LockNotOwnedError"}))
def test_exports_are_documented(name: str) -> None:
    text = inspect.getdoc(getattr(aioredlock_c, name)) or ""
    assert len(text) > 80
    assert "versionadded:: 0.1.0" in text


@pytest.mark.parametrize("name", MEMBERS)
def test_members_are_documented(name: str) -> None:
    text = inspect.getdoc(getattr(aioredlock_c.Redisson, name)) or ""
    assert text
    assert name.startswith("__") or "versionadded:: 0.1.0" in text


def test_the_class_names_each_argument_in_its_docstring() -> None:
    text = inspect.getdoc(aioredlock_c.Redisson) or ""
    for name in inspect.signature(aioredlock_c.Redisson).parameters:
        assert name in text, name


def test_one_logger_without_handlers_of_its_own() -> None:
    handlers = logging.getLogger("aioredlock_c").handlers
    assert all(isinstance(handler, logging.NullHandler) for handler in handlers)


def test_no_member_is_public_by_accident() -> None:
    public = {name for name in dir(aioredlock_c.Redisson) if not name.startswith("_")}
    assert public == {name for name in MEMBERS if not name.startswith("_")}
