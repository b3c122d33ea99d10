"""on_lost="cancel": several locks of one task, whom it does not concern, and whatever a body awaits."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Run
from support.clients import Client, free, held_by_another, value_of
from support.losing import check_sound, outlive, told
from support.proxied import proxy_before, via
from support.servers import Server
from support.waiting import aeventually, turns

from aioredlock_c import LockLostError, Redisson, aclose

if sys.version_info < (3, 11):
    pytest.skip("a cancel can be taken back from Python 3.11 on", allow_module_level=True)

pytestmark = pytest.mark.portable

EX = 0.2


def make(redis: Any, key: str, **options: Any) -> Redisson:
    """A lock that the watchdog leaves alone."""
    return Redisson(redis, key=key, **{"ex": EX, "on_lost": "cancel", "stall_limit": 0, **options})


# ---- several locks of one task ----


@pytest.mark.parametrize("depth", [2, 3])
def test_of_locks_lost_at_once_the_outermost_raises(
    run: Run, any_server: Server, key: str, depth: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        locks = [make(redis, f"{key}-{number}") for number in range(depth)]

        async def enter(inner: list[Redisson]) -> None:
            if not inner:
                outlive(*locks)
                await asyncio.sleep(10)
                return
            async with inner[0]:
                await enter(inner[1:])

        with pytest.raises(LockLostError, match=f"{key}-0"):
            await enter(locks)
        await check_sound()

    run(main, any_server)
    texts = told(caplog)
    assert len(texts) == depth - 1  # each loss once: by the exception or by a WARNING
    assert not any(f"{key}-0" in text for text in texts)


@pytest.mark.parametrize("which", ["inner", "outer"])
def test_of_two_locks_one_is_lost(run: Run, any_server: Server, key: str, which: str) -> None:
    async def main(redis: Client) -> None:
        outer = make(redis, f"{key}-outer", ex=EX if which == "outer" else 10)
        inner = make(redis, f"{key}-inner", ex=EX if which == "inner" else 10)
        with pytest.raises(LockLostError, match=f"{key}-{which}"):
            async with outer:
                try:
                    async with inner:
                        outlive(outer if which == "outer" else inner)
                        await asyncio.sleep(10)
                finally:
                    assert outer.is_locked() == (which == "inner")
                    assert not inner.is_locked()
        await check_sound()
        assert value_of(any_server, f"{key}-inner") is None
        assert value_of(any_server, f"{key}-outer") is None

    run(main, any_server)


def test_the_outer_lock_is_lost_while_the_inner_one_is_being_left(
    run: Run, any_server: Server, key: str
) -> None:
    async def main() -> None:
        with proxy_before(any_server) as proxy:
            async with via(proxy) as client, via(any_server) as direct:
                outer, inner = make(direct, f"{key}-outer", ex=0.3), make(client, f"{key}-inner", ex=10)
                with pytest.raises(LockLostError, match=f"{key}-outer"):
                    async with outer:
                        async with inner:
                            proxy.hold_replies = True
                            held_by_another(any_server, outer.key)
                        raise AssertionError("the exit of the inner lock was cancelled")
                await check_sound()
                proxy.hold_replies = False
                free(any_server, outer.key)
                await aeventually(lambda: value_of(any_server, inner.key) is None)

    run(main)


# ---- whom it does not concern ----


def test_acquire_has_no_body_to_cancel(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = make(redis, key)
        for blocking in (True, False):
            with pytest.raises(RuntimeError, match=f"{key}.*cancel"):
                await lock.acquire(blocking=blocking)
        assert value_of(any_server, key) is None
        async with lock as held:
            assert held is lock

    run(main, any_server)


def test_a_call_driven_by_hand_has_no_task_to_cancel(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = make(redis, key)
        errors: list[BaseException] = []

        def by_hand() -> None:
            entering: Any = lock.__aenter__()
            try:
                entering.send(None)
            except RuntimeError as error:
                errors.append(error)

        asyncio.get_running_loop().call_soon(by_hand)
        await turns(3)
        assert "task" in str(errors[0])
        async with lock:
            assert lock.is_locked()

    run(main, any_server)


def test_who_is_not_given_the_lock_is_not_cancelled(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        held_by_another(any_server, key)
        async with make(redis, key, retry_count=1) as lock:
            assert lock is None
            await asyncio.sleep(2 * EX)
        free(any_server, key)
        await check_sound()

    run(main, any_server)


def test_what_the_program_closed_was_not_lost(
    run: Run, any_server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        async with make(redis, key) as lock:
            assert lock is not None
            await aclose(redis)
            await asyncio.sleep(2 * EX)
            assert not lock.is_locked()
        await check_sound()

    run(main, any_server)
    assert len(told(caplog)) == 1


def test_the_lock_does_not_keep_the_task(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = make(redis, key, ex=10)

        async def body() -> None:
            async with lock:
                pass

        task: asyncio.Task[None] | None = asyncio.create_task(body())
        assert task is not None
        alive = weakref.ref(task)
        await task
        task = None
        await turns(3)
        gc.collect()
        assert alive() is None

    run(main, any_server)


def test_the_next_body_of_the_object_is_not_cancelled_for_the_last_one(
    run: Run, any_server: Server, key: str
) -> None:
    """Though it is entered before the cancel is due: another thread found the loss, the server was quick."""

    async def main(redis: Client) -> None:
        loop = asyncio.get_running_loop()
        lock = make(redis, key)
        async with lock:
            pass  # the connection stands
        with pytest.raises(LockLostError):
            async with lock:
                resumed = loop.create_future()

                def resume() -> None:
                    resumed.set_result(None)
                    loop.call_soon(time.sleep, 0.03)  # in that turn, after the body: the answer is there

                loop.call_soon(resume)
                await resumed
                outlive(lock)
                looking = threading.Thread(target=lock.is_locked)
                looking.start()
                looking.join()
        async with lock:
            await turns(5)
            lock.ensure_held()
        await check_sound()

    run(main, any_server)


# ---- how the task may stand when it is cancelled ----


Waiting = Callable[[], Any]


async def spinning() -> None:
    while True:
        await asyncio.sleep(0)


async def a_future() -> None:
    await asyncio.get_running_loop().create_future()


async def a_child() -> None:
    await asyncio.create_task(asyncio.sleep(10))


async def a_group_of_children() -> None:
    await asyncio.gather(*(asyncio.sleep(10) for _ in range(3)))


@pytest.mark.parametrize("waiting", [spinning, a_future, a_child, a_group_of_children])
def test_whatever_the_body_awaits(run: Run, any_server: Server, key: str, waiting: Waiting) -> None:
    async def main(redis: Client) -> None:
        lock = make(redis, key)
        with pytest.raises(LockLostError):
            async with lock:
                outlive(lock)
                await waiting()
        await check_sound()

    run(main, any_server)


def test_a_body_that_waits_for_another_lock(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        held_by_another(any_server, f"{key}-other")
        lock = make(redis, key)
        with pytest.raises(LockLostError, match=rf"{key}'"):
            async with lock:
                outlive(lock)
                async with Redisson(redis, key=f"{key}-other", retry_count=None):
                    raise AssertionError("another holds it")
        free(any_server, f"{key}-other")
        await check_sound()

    run(main, any_server)


def test_many_bodies_lose_their_locks_at_once(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        entered = 0

        async def body(number: int) -> str:
            nonlocal entered
            try:
                async with make(redis, f"{key}-{number}", ex=0.5):
                    entered += 1
                    await asyncio.sleep(10)
            except LockLostError:
                await turns(2)
                return "lost"
            return "held"

        tasks = [asyncio.create_task(body(number)) for number in range(200)]
        await aeventually(lambda: entered == 200)
        time.sleep(0.6)
        assert await asyncio.gather(*tasks) == ["lost"] * 200

    run(main, any_server)


if sys.version_info >= (3, 12):

    def test_the_body_of_an_eager_task(run: Run, any_server: Server, key: str) -> None:
        async def main(redis: Client) -> None:
            lock = make(redis, key)

            async def body() -> None:
                async with lock:
                    outlive(lock)
                    await asyncio.sleep(10)

            task = asyncio.Task(body(), loop=asyncio.get_running_loop(), eager_start=True)
            with pytest.raises(LockLostError):
                await task
            await check_sound()

        run(main, any_server)
