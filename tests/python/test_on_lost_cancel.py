"""on_lost="cancel": the body of a lost lock is cancelled, and how `async with` ends then."""

from __future__ import annotations

import asyncio
import builtins
import sys
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Run
from support.clients import Client, free, held_by_another, value_of
from support.losing import check_sound, outlive, requests, told
from support.servers import Server
from support.waiting import turns

from aioredlock_c import LockLostError, Redisson

if sys.version_info < (3, 11):
    pytest.skip("a cancel can be taken back from Python 3.11 on", allow_module_level=True)

pytestmark = pytest.mark.portable

EX = 0.2
GROUP: Any = vars(builtins)["BaseExceptionGroup"]  # not there on Python 3.10


class BodyError(Exception):
    """What a body raises of its own."""


def make(redis: Any, key: str, **options: Any) -> Redisson:
    """A lock that the watchdog leaves alone."""
    return Redisson(redis, key=key, **{"ex": EX, "on_lost": "cancel", "stall_limit": 0, **options})


# ---- the table: how the body ends -> how `async with` ends ----


def test_a_body_that_awaits_is_cancelled(
    run: Run, server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        seen: list[asyncio.CancelledError] = []
        lock = make(redis, key, ex=0.3)
        with pytest.raises(LockLostError, match="the lease was lost") as raised:
            async with lock:
                held_by_another(server, key)
                try:
                    await asyncio.sleep(10)
                except asyncio.CancelledError as error:
                    assert not lock.is_locked()
                    seen.append(error)
                    raise
        assert raised.value.__cause__ is seen[0]
        assert key in str(raised.value)
        await check_sound()
        free(server, key)
        async with lock:  # again
            await turns(3)

    run(main, server)
    assert told(caplog) == []


@pytest.mark.parametrize("swallowed", [True, False], ids=["swallowed", "no await"])
def test_a_body_that_ends_normally_raises(run: Run, any_server: Server, key: str, swallowed: bool) -> None:
    async def main(redis: Client) -> None:
        lock = make(redis, key)
        with pytest.raises(LockLostError) as raised:
            async with lock:
                outlive(lock)
                if swallowed:
                    with pytest.raises(asyncio.CancelledError):
                        await asyncio.sleep(10)
                    await asyncio.sleep(0)
        assert raised.value.__cause__ is None
        await check_sound()

    run(main, any_server)


@pytest.mark.parametrize("look", ["is_locked", "ensure_held"])
def test_a_body_left_between_the_loss_and_the_cancel(
    run: Run, any_server: Server, key: str, look: str
) -> None:
    """The cancel, which is to come, concerns neither what follows nor the next body of the object."""

    async def main(redis: Client) -> None:
        lock = make(redis, key)
        with pytest.raises(LockLostError):
            async with lock:
                outlive(lock)
                getattr(lock, look)()
        async with lock:
            await turns(5)
            lock.ensure_held()
        await check_sound()

    run(main, any_server)


@pytest.mark.parametrize("kind", [BodyError, KeyError, asyncio.CancelledError, asyncio.TimeoutError])
def test_an_exception_of_the_bodys_own_goes_through(
    run: Run, any_server: Server, key: str, kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """A CancelledError too, where nobody was cancelled: the loss is then told by a WARNING."""

    async def main(redis: Client) -> None:
        error = kind("mine")
        lock = make(redis, key)
        with pytest.raises(kind) as raised:
            async with lock:
                outlive(lock)
                raise error
        assert raised.value is error
        await check_sound()

    run(main, any_server)
    (text,) = told(caplog)
    assert key in text and "lost" in text


def test_an_exception_raised_for_the_cancel_goes_through(
    run: Run, any_server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        lock = make(redis, key)
        with pytest.raises(BodyError):
            async with lock:
                outlive(lock)
                try:
                    await asyncio.sleep(10)
                except asyncio.CancelledError:
                    assert requests() == 1
                    raise BodyError from None
        await check_sound()

    run(main, any_server)
    assert len(told(caplog)) == 1


def both_soon(lock: Redisson, other: Callable[[], object], first: str) -> None:
    """In the next turn of the loop both are done, before any task runs: our cancel and `other`."""
    outlive(lock)
    if first == "theirs":
        other()
    assert not lock.is_locked()
    if first == "ours":
        other()


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_a_request_of_somebody_else_goes_on(
    run: Run, any_server: Server, key: str, first: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        open_requests: list[int] = []

        async def body() -> None:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            assert task is not None
            lock = make(redis, key)
            try:
                async with lock:
                    both_soon(lock, lambda: loop.call_soon(task.cancel), first)
                    try:
                        await asyncio.sleep(10)
                    finally:
                        open_requests.append(requests())
            finally:
                open_requests.append(requests())

        task = asyncio.create_task(body())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert open_requests == [2, 1]

    run(main, any_server)
    assert len(told(caplog)) == 1


def test_a_request_that_was_open_before_the_body_is_not_ours(run: Run, any_server: Server, key: str) -> None:
    """A task that was cancelled, swallowed that, and goes on: the count at entry is what counts."""

    async def main(redis: Client) -> None:
        async def body() -> None:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await asyncio.sleep(10)
            lock = make(redis, key)
            with pytest.raises(LockLostError):
                async with lock:
                    assert requests() == 1
                    outlive(lock)
                    await asyncio.sleep(10)
            assert requests() == 1
            await turns(3)

        await asyncio.create_task(body())

    run(main, any_server)


@pytest.mark.parametrize("raising", [False, True], ids=["alone", "beside an exception"])
def test_a_loss_told_late_by_the_release(
    run: Run, server: Server, key: str, raising: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        expected: Any = BodyError if raising else LockLostError
        with pytest.raises(expected, match="before it was released|^$"):
            async with make(redis, key, ex=10):
                held_by_another(server, key)
                if raising:
                    raise BodyError
        assert value_of(server, key) == "another"
        free(server, key)
        await check_sound()

    run(main, server)
    assert len(told(caplog)) == (1 if raising else 0)


# ---- inside and outside of timeouts ----


def test_within_a_timeout_that_does_not_expire(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async with asyncio.timeout(10):
            lock = make(redis, key)
            with pytest.raises(LockLostError):
                async with lock:
                    outlive(lock)
                    await asyncio.sleep(10)
            await check_sound()
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(0.5):
                with pytest.raises(LockLostError):
                    async with lock:
                        outlive(lock)
                        await asyncio.sleep(10)
                await asyncio.sleep(10)
        await check_sound()

    run(main, any_server)


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_within_a_timeout_that_expires_at_once(run: Run, any_server: Server, key: str, first: str) -> None:
    async def main(redis: Client) -> None:
        lock = make(redis, key)
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(None) as limit:
                async with lock:
                    both_soon(lock, lambda: limit.reschedule(0), first)
                    try:
                        await asyncio.sleep(10)
                    finally:
                        assert requests() == 2
        await check_sound()

    run(main, any_server)


def test_around_a_timeout_that_does_not_expire(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = make(redis, key)
        with pytest.raises(LockLostError):
            async with lock, asyncio.timeout(10):
                outlive(lock)
                await asyncio.sleep(10)
        await check_sound()

    run(main, any_server)


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_around_a_timeout_that_expires_at_once(run: Run, any_server: Server, key: str, first: str) -> None:
    async def main(redis: Client) -> None:
        lock = make(redis, key)
        with pytest.raises(LockLostError) as raised:
            async with lock, asyncio.timeout(None) as limit:
                both_soon(lock, lambda: limit.reschedule(0), first)
                try:
                    await asyncio.sleep(10)
                finally:
                    assert requests() == 2
        assert isinstance(raised.value.__cause__, asyncio.CancelledError)
        await check_sound()

    run(main, any_server)


def test_around_a_timeout_that_expired_before(
    run: Run, any_server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its TimeoutError is an exception like any other."""

    async def main(redis: Client) -> None:
        lock = make(redis, key)
        with pytest.raises(asyncio.TimeoutError):
            async with lock, asyncio.timeout(0.01):
                outlive(lock)
                await asyncio.sleep(10)
        await check_sound()

    run(main, any_server)
    assert len(told(caplog)) == 1


def test_wait_for_around_and_within(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async def body() -> None:
            lock = make(redis, key)
            async with lock:
                outlive(lock)
                await asyncio.wait_for(asyncio.sleep(10), 10)

        with pytest.raises(LockLostError):
            await body()
        await check_sound()
        with pytest.raises(LockLostError):
            await asyncio.wait_for(body(), 10)
        await check_sound()

    run(main, any_server)


# ---- inside and outside of groups ----


def test_around_a_group(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        ended: list[str] = []

        async def child(name: str) -> None:
            try:
                await asyncio.sleep(10)
            finally:
                ended.append(name)

        lock = make(redis, key)
        with pytest.raises(LockLostError) as raised:
            async with lock:
                async with asyncio.TaskGroup() as group:
                    group.create_task(child("a"))
                    group.create_task(child("b"))
                    await asyncio.sleep(0)
                    outlive(lock)
        assert isinstance(raised.value.__cause__, asyncio.CancelledError)
        assert sorted(ended) == ["a", "b"]
        await check_sound()

    run(main, any_server)


def test_around_a_group_whose_child_fails(
    run: Run, any_server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A group of exceptions goes through unchanged, whether the child failed by itself or being cancelled."""

    async def main(redis: Client) -> None:
        async def failing(by_itself: bool) -> None:
            try:
                await asyncio.sleep(0 if by_itself else 10)
            finally:
                raise BodyError

        for by_itself in (True, False):
            lock = make(redis, key)
            with pytest.raises(GROUP) as raised:
                async with lock:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(failing(by_itself))
                        await asyncio.sleep(0)
                        outlive(lock)
            assert [type(error) for error in raised.value.exceptions] == [BodyError]
            await check_sound(after_group=True)

    run(main, any_server)
    assert len(told(caplog)) == 2


def test_within_a_group(run: Run, any_server: Server, key: str) -> None:
    """In the body of the group, and in a child of it: the group fails with LockLostError, the others end."""

    async def main(redis: Client) -> None:
        async def body() -> None:
            lock = make(redis, key)
            async with lock:
                outlive(lock)
                await asyncio.sleep(10)

        for in_child in (False, True):
            with pytest.raises(GROUP) as raised:
                async with asyncio.TaskGroup() as group:
                    other = group.create_task(asyncio.sleep(10))
                    if in_child:
                        group.create_task(body())
                    else:
                        await body()
            assert [type(error) for error in raised.value.exceptions] == [LockLostError]
            assert other.cancelled()
            await check_sound(after_group=True)

    run(main, any_server)
