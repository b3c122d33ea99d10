"""Fixtures: servers of every kind that is here, both loops, a key of its own for each test."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

import hypothesis
import pytest
from support.clients import client_of, on_server
from support.servers import Server, found_binaries, start_server
from support.waiting import eventually

try:
    import uvloop
except ImportError:  # not made for this Python
    LOOPS = ["asyncio"]
else:
    LOOPS = ["asyncio", "uvloop"]

# A busy machine is no failure; nothing is written into the working directory.
hypothesis.settings.register_profile(
    "suite", deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")

LIMIT = 60  # seconds for what one test runs on a loop
T = TypeVar("T")
Run = Callable[..., Any]
_started: dict[str, Server] = {}


def pytest_configure(config: pytest.Config) -> None:
    try:
        found_binaries()
    except LookupError as error:
        raise pytest.UsageError(str(error)) from None
    # A test run that is told to end still stops its servers.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def pytest_unconfigure(config: pytest.Config) -> None:
    while _started:
        _started.popitem()[1].stop()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server_kind" in metafunc.fixturenames:
        metafunc.parametrize("server_kind", list(found_binaries()), scope="session")


def _server_of(kind: str) -> Server:
    if kind not in _started:
        _started[kind] = start_server(kind)
    return _started[kind]


@pytest.fixture
def server(server_kind: str) -> Server:
    """Each kind of server in turn, for what depends on the server."""
    return _server_of(server_kind)


@pytest.fixture(scope="session")
def any_server() -> Server:
    """One server, for what does not depend on its kind."""
    return _server_of(next(iter(found_binaries())))


@pytest.fixture(scope="session")
def other_server(any_server: Server) -> Server:
    """A second server, of the same kind."""
    if "other" not in _started:
        _started["other"] = start_server(any_server.kind)
    return _started["other"]


def run_on_loop(kind: str, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """asyncio.run on a loop of this kind."""
    if kind == "uvloop":
        result: T = uvloop.run(main())
        return result
    return asyncio.run(main())


@pytest.fixture(params=LOOPS)
def loop_kind(request: pytest.FixtureRequest) -> str:
    """ "asyncio", and "uvloop" where it is there."""
    return str(request.param)


def _give_up(task: asyncio.Task[Any] | None) -> None:
    """A test that hangs says where, and ends."""
    assert task is not None  # a test runs as a task
    task.print_stack()
    task.cancel(f"not done within {LIMIT} s")


@pytest.fixture
def run(loop_kind: str) -> Run:
    """run(main) runs the coroutine function `main()` on each loop; run(main, server) hands it a client."""

    def runner(main: Callable[..., Awaitable[T]], server: Server | None = None, **options: Any) -> T:
        async def whole() -> T:
            alarm = asyncio.get_running_loop().call_later(LIMIT, _give_up, asyncio.current_task())
            try:
                if server is None:
                    return await main()
                async with client_of(server, **options) as client:
                    return await main(client)
            finally:
                alarm.cancel()

        return run_on_loop(loop_kind, whole)

    return runner


def keys_left(server: Server, key: str) -> list[str]:
    """The names of keys on the server that belong to a test's key."""
    pattern = on_server(re.sub(r"([*?\[\]\\])", r"\\\1", key)) + "*"
    return sorted(server.admin().scan_iter(match=pattern, count=10_000))


def _check_nothing_left(server: Server, key: str) -> None:
    if server.process.poll() is None:
        eventually(lambda: not keys_left(server, key), timeout=1.0, what=f"keys left on {server.kind}")


@pytest.fixture
def key(request: pytest.FixtureRequest) -> Iterator[str]:
    """A key of this test alone. No key that begins so may be left a second after the test."""
    name = f"{request.function.__name__}-{uuid.uuid4().hex[:8]}"
    yield name
    for server in _started.values():
        _check_nothing_left(server, name)
