"""Getting the lock, not getting it, and how long that takes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from conftest import Run
from support.clients import Client, free, held_by_another, on_server, value_of
from support.monitor import Monitor
from support.servers import Server

from aioredlock_c import LockNotAcquiredError, Redisson

pytestmark = pytest.mark.portable

LOW, HIGH = 0.02, 0.04
FAST: dict[str, Any] = {"sleeptime_l": LOW, "sleeptime_h": HIGH}
SLACK = 0.15  # seconds that a busy machine may add


def test_async_with_gives_the_lock_and_gives_it_back(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        made = Redisson(redis, key=key)
        async with made as lock:
            assert lock is made
            assert lock.is_locked() is True
            assert value_of(server, key) == lock.uuid()
            assert 9 < lock.remaining() < 10
        assert made.is_locked() is False
        assert made.remaining() == 0.0
        assert value_of(server, key) is None

    run(main, server)


def test_an_exception_of_the_body_goes_through_unchanged(run: Run, any_server: Server, key: str) -> None:
    error = KeyError("mine")

    async def main(redis: Client) -> None:
        with pytest.raises(KeyError) as caught:
            async with Redisson(redis, key=key):
                raise error
        assert caught.value is error and error.__context__ is None
        assert value_of(any_server, key) is None

    run(main, any_server)


@pytest.mark.parametrize("name", ["retry_count", "retry_times"])
def test_tries_used_up_on_the_documented_schedule(run: Run, server: Server, key: str, name: str) -> None:
    tries, mean = 6, (LOW + HIGH) / 2
    grown = [mean * max(0, i - 2) for i in range(tries)]
    held_by_another(server, key)

    chosen: dict[str, Any] = {name: tries}

    async def main(redis: Client) -> tuple[Any, float]:
        async with Redisson(redis, key=f"{key}-warm-up"):
            pass
        start = time.monotonic()
        async with Redisson(redis, key=key, **FAST, **chosen) as lock:
            return lock, time.monotonic() - start

    with Monitor(server) as monitor:
        lock, took = run(main, server)
        sets = monitor.of("SET", on_server(key))
    free(server, key)
    assert lock is None
    assert len(sets) == tries
    for i, (this, following) in enumerate(zip(sets, sets[1:], strict=False)):
        assert grown[i] + LOW - 0.003 <= following.at - this.at <= grown[i] + HIGH + SLACK
    assert sum(grown) + tries * LOW - 0.01 <= took <= sum(grown) + tries * HIGH + 2 * SLACK


def test_the_default_is_ten_tries(run: Run, any_server: Server, key: str) -> None:
    held_by_another(any_server, key)

    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key, sleeptime_l=0, sleeptime_h=0) as lock:
            assert lock is None
        assert await Redisson(redis, key=key, sleeptime_l=0, sleeptime_h=0).acquire() is False

    with Monitor(any_server) as monitor:
        run(main, any_server)
        assert len(monitor.of("SET", on_server(key))) == 20
    free(any_server, key)


@pytest.mark.parametrize("name", ["retry_count", "retry_times"])
def test_no_tries_at_all(run: Run, any_server: Server, key: str, name: str) -> None:
    none: dict[str, Any] = {name: 0}

    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key, **none) as lock:
            assert lock is None
        assert await Redisson(redis, key=key, **none).acquire() is False

    with Monitor(any_server) as monitor:
        run(main, any_server)
        assert monitor.of("SET", on_server(key)) == []


def test_without_limit_it_waits_on(run: Run, any_server: Server, key: str) -> None:
    held_by_another(any_server, key, 0.8)  # ten tries on this schedule end after 0.3 s at most

    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key, retry_count=None, sleeptime_l=0.005, sleeptime_h=0.01) as lock:
            assert lock is not None
            assert value_of(any_server, key) == lock.uuid()

    run(main, any_server)


def test_blocking_false_is_one_try_without_a_wait(run: Run, server: Server, key: str) -> None:
    held_by_another(server, key)

    async def main(redis: Client) -> None:
        for options in ({}, {"blocking_timeout": 9.0}, {"retry_count": 0}, {"retry_count": None}):
            lock = Redisson(redis, key=key, sleeptime_l=5, sleeptime_h=5, **options)
            start = time.monotonic()
            assert await lock.acquire(blocking=False) is False
            assert await lock.acquire(False) is False
            assert time.monotonic() - start < 2
        free(server, key)
        assert await lock.acquire(blocking=False) is True
        await lock.release()

    with Monitor(server) as monitor:
        run(main, server)
        assert len(monitor.of("SET", on_server(key))) == 9


def test_a_blocking_timeout_of_zero_is_one_try(run: Run, any_server: Server, key: str) -> None:
    held_by_another(any_server, key)

    async def main(redis: Client) -> None:
        start = time.monotonic()
        slow: dict[str, Any] = {"sleeptime_l": 5, "sleeptime_h": 5}
        assert await Redisson(redis, key=key, **slow).acquire(blocking_timeout=0) is False
        async with Redisson(redis, key=key, blocking_timeout=0, **slow) as lock:
            assert lock is None
        assert time.monotonic() - start < 2

    with Monitor(any_server) as monitor:
        run(main, any_server)
        assert len(monitor.of("SET", on_server(key))) == 2
    free(any_server, key)


@pytest.mark.parametrize("count", [0, 1, None])
def test_a_blocking_timeout_wins_over_the_count(
    run: Run, any_server: Server, key: str, count: int | None
) -> None:
    held_by_another(any_server, key)

    async def main(redis: Client) -> None:
        start = time.monotonic()
        lock = Redisson(redis, key=key, retry_count=count, blocking_timeout=0.2, **FAST)
        async with lock as entered:
            assert entered is None
        assert 0.195 <= time.monotonic() - start < 0.2 + SLACK

        start = time.monotonic()
        assert await lock.acquire() is False
        assert 0.195 <= time.monotonic() - start < 0.2 + SLACK

        start = time.monotonic()
        assert await lock.acquire(blocking_timeout=0.4) is False
        assert 0.395 <= time.monotonic() - start < 0.4 + SLACK

        waiting = asyncio.create_task(lock.acquire(True, 5))
        await asyncio.sleep(0.1)
        free(any_server, key)
        assert await waiting is True
        await lock.release()

    run(main, any_server)


def test_acquire_refuses_arguments_that_clash(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        bad: list[tuple[dict[str, Any], type[Exception]]] = [
            ({"blocking": False, "blocking_timeout": 1}, ValueError),
            ({"blocking": False, "blocking_timeout": 0}, ValueError),
            ({"blocking_timeout": -1}, ValueError),
            ({"blocking_timeout": float("nan")}, ValueError),
            ({"blocking_timeout": "1"}, TypeError),
        ]
        for arguments, kind in bad:
            with pytest.raises(kind, match="blocking_timeout"):
                await lock.acquire(**arguments)
            assert not lock.is_locked()
        with pytest.raises(TypeError):
            await lock.acquire(patience=1)  # type: ignore[call-arg]
        assert await lock.acquire()
        await lock.release()

    run(main, any_server)


def test_required_raises_instead_of_none(run: Run, any_server: Server, key: str) -> None:
    held_by_another(any_server, key)

    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, required=True, retry_count=2, **FAST)
        with pytest.raises(LockNotAcquiredError, match=key):
            async with lock:
                pytest.fail("the body ran without the lock")
        assert await lock.acquire() is False
        free(any_server, key)
        async with lock as entered:
            assert entered is lock

    run(main, any_server)
