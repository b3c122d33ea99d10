"""on_lost=callable: told by the loop, in the acquire's context, at most once for each hold."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import redis.asyncio
from conftest import Run
from support.clients import Client, free, held_by_another, value_of
from support.losing import outlive
from support.programs import run_clean
from support.proxied import proxy_before, via
from support.servers import Server
from support.waiting import aeventually, turns

from aioredlock_c import LockLostError, LockNotOwnedError, Redisson, aclose

EX = 0.3
Told = list[tuple[Redisson, LockLostError]]


def teller() -> tuple[Told, Callable[[Redisson, LockLostError], None]]:
    """A list, and a callable that notes in it what it is called with."""
    told: Told = []

    def on_lost(lock: Redisson, error: LockLostError) -> None:
        told.append((lock, error))

    return told, on_lost


def test_it_is_called_once_with_the_lock_and_the_error(
    run: Run, server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        told, on_lost = teller()
        async with Redisson(redis, key=key, ex=EX, on_lost=on_lost) as lock:
            assert lock is not None
            held_by_another(server, key)
            await aeventually(lambda: told)
            await asyncio.sleep(2 * EX)
            with pytest.raises(LockLostError) as raised:
                lock.ensure_held()
        await asyncio.sleep(EX)
        assert len(told) == 1
        assert told[0][0] is lock
        assert type(told[0][1]) is LockLostError
        assert str(told[0][1]) == str(raised.value) and key in str(raised.value)
        free(server, key)

    with caplog.at_level(logging.WARNING, "aioredlock_c"):
        run(main, server)
    assert caplog.records == []  # told once is enough


def test_it_is_called_for_each_hold_of_one_object(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        told, on_lost = teller()
        lock = Redisson(redis, key=key, ex=EX, on_lost=on_lost, stall_limit=0)
        for count in (1, 2, 3):
            assert await lock.acquire()
            outlive(lock)
            assert not lock.is_locked()
            await turns(3)
            assert len(told) == count
        async with lock:
            pass
        await turns(5)
        assert len(told) == 3

    run(main, any_server)


@pytest.mark.parametrize(
    "look", ["is_locked", "remaining", "ensure_held", "repr", "release", "extend", "exit"]
)
def test_never_from_within_a_call(run: Run, any_server: Server, key: str, look: str) -> None:
    """Whatever finds the lease over, the callable runs later, from the loop."""

    async def main(redis: Client) -> None:
        inside = False
        told: list[bool] = []
        lock = Redisson(redis, key=key, ex=EX, on_lost=lambda *_: told.append(inside), stall_limit=0)

        async def looking() -> None:
            nonlocal inside
            inside = True
            try:
                if look in ("release", "extend"):
                    await (lock.release() if look == "release" else lock.extend(1))
                elif look == "exit":
                    await lock.__aexit__(None, None, None)
                else:
                    repr(lock) if look == "repr" else getattr(lock, look)()
            except LockLostError:
                pass
            inside = False

        if look == "exit":
            await lock.__aenter__()
        else:
            assert await lock.acquire()
        outlive(lock)
        await looking()
        assert told == []
        await turns(5)
        assert told == [False]

    run(main, any_server)


def test_a_hold_left_between_the_loss_and_the_call_is_told_all_the_same(
    run: Run, any_server: Server, key: str
) -> None:
    async def main(redis: Client) -> None:
        told, on_lost = teller()
        async with Redisson(redis, key=key, ex=EX, on_lost=on_lost, stall_limit=0) as lock:
            assert lock is not None
            outlive(lock)
            assert not lock.is_locked()
        assert told == []
        await turns(3)
        assert [item[0] for item in told] == [lock]

        second = Redisson(redis, key=key, ex=EX, on_lost=on_lost, stall_limit=0)
        assert await second.acquire()
        outlive(second)
        assert not second.is_locked()
        assert await second.acquire()  # the same object holds again, and that hold is not lost
        await turns(3)
        assert [item[0] for item in told] == [lock, second]
        await second.release()
        await turns(3)
        assert len(told) == 2

    run(main, any_server)


def test_the_lock_is_kept_alive_until_the_call(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        told, on_lost = teller()
        lock: Redisson | None = Redisson(redis, key=key, ex=EX, on_lost=on_lost, stall_limit=0)
        assert lock is not None and await lock.acquire()
        outlive(lock)
        assert not lock.is_locked()
        alive = weakref.ref(lock)
        lock = None
        gc.collect()
        assert alive() is not None
        await turns(3)
        assert len(told) == 1
        told.clear()
        await turns(3)
        gc.collect()
        assert alive() is None

    run(main, any_server)


def test_it_runs_in_the_context_of_the_acquire(run: Run, any_server: Server, key: str) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    async def acquiring(lock: Redisson) -> None:
        variable.set(lock.key)
        assert await lock.acquire()

    async def main(redis: Client) -> None:
        def on_lost(lock: Redisson, error: LockLostError) -> None:
            seen.append(variable.get())
            variable.set("changed by the callable")

        async def on_lost_too(lock: Redisson, error: LockLostError) -> None:
            seen.append(variable.get())

        one = Redisson(redis, key=f"{key}-1", ex=EX, on_lost=on_lost, stall_limit=0)
        two = Redisson(redis, key=f"{key}-2", ex=EX, on_lost=on_lost_too, stall_limit=0)
        await asyncio.gather(acquiring(one), acquiring(two))
        variable.set("who looks")
        outlive(two)
        assert not one.is_locked() and not two.is_locked()
        await aeventually(lambda: len(seen) == 2)
        assert variable.get() == "who looks"

    run(main, any_server)
    assert sorted(seen) == [f"{key}-1", f"{key}-2"]


def test_a_coroutine_runs_as_a_task_that_is_kept(run: Run, any_server: Server, key: str) -> None:
    """Nobody but the task itself knows the future that it waits for: a collection must not take both away."""

    async def main(redis: Client) -> None:
        begun, ended = asyncio.Event(), asyncio.Event()
        tasks: list[weakref.ref[Any]] = []
        waiting: list[weakref.ref[Any]] = []

        async def on_lost(lock: Redisson, error: LockLostError) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.append(weakref.ref(task))
            begun.set()
            future = asyncio.get_running_loop().create_future()
            waiting.append(weakref.ref(future))
            await future
            ended.set()

        lock = Redisson(redis, key=key, ex=EX, on_lost=on_lost, stall_limit=0)
        assert await lock.acquire()
        outlive(lock)
        assert not lock.is_locked()
        del lock
        await asyncio.wait_for(begun.wait(), 5)
        await aclose(redis)
        gc.collect()
        future = waiting[0]()
        assert future is not None
        future.set_result(None)
        await asyncio.wait_for(ended.wait(), 5)
        del future
        await turns(3)
        gc.collect()
        assert tasks[0]() is None  # and not longer

    run(main, any_server)


def test_it_may_acquire_anew_after_acquire(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        results: list[bool] = []

        async def on_lost(lock: Redisson, error: LockLostError) -> None:
            results.append(await lock.acquire())

        lock = Redisson(redis, key=key, ex=EX, on_lost=on_lost)
        assert await lock.acquire()
        token = lock.uuid()
        held_by_another(any_server, key, 0.5)
        await aeventually(lambda: results)
        assert results == [True]
        assert lock.is_locked() and lock.uuid() != token
        lock.ensure_held()
        await lock.release()

        held = False
        refused: list[type[BaseException]] = []

        async def within_a_body(lock: Redisson, error: LockLostError) -> None:
            try:
                await lock.acquire()
            except RuntimeError as error_of_acquire:
                refused.append(type(error_of_acquire))

        async with Redisson(redis, key=key, ex=EX, on_lost=within_a_body) as entered:
            held = entered is not None
            free(any_server, key)
            await aeventually(lambda: refused)
        assert held and refused == [RuntimeError]

    run(main, any_server)


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("kind", ["function", "coroutine", "no coroutine of ours"])
def test_an_exception_goes_to_the_loops_handler(run: Run, any_server: Server, key: str, kind: str) -> None:
    async def main(redis: Client) -> None:
        contexts: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: contexts.append(context))

        async def failing(lock: Redisson, error: LockLostError) -> None:
            await asyncio.sleep(0)
            raise BrokenError(lock.key)

        def on_lost(lock: Redisson, error: LockLostError) -> object:
            if kind == "function":
                raise BrokenError(lock.key)
            return failing(lock, error) if kind == "coroutine" else object()

        lock = Redisson(redis, key=key, ex=EX, on_lost=on_lost, stall_limit=0)
        assert await lock.acquire()
        outlive(lock)
        assert not lock.is_locked()
        await turns(6)
        gc.collect()
        if kind == "no coroutine of ours":
            assert contexts == []
        else:
            (context,) = contexts
            assert isinstance(context["exception"], BrokenError) and str(context["exception"]) == key
            assert "on_lost" in context["message"]
        assert await lock.acquire()  # the connection goes on
        await lock.release()

    run(main, any_server)


def test_a_cancelled_task_of_it_is_no_error(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        contexts: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: contexts.append(context))
        tasks: list[asyncio.Task[Any]] = []

        async def on_lost(lock: Redisson, error: LockLostError) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.append(task)
            await asyncio.sleep(60)

        lock = Redisson(redis, key=key, ex=EX, on_lost=on_lost, stall_limit=0)
        assert await lock.acquire()
        outlive(lock)
        assert not lock.is_locked()
        await aeventually(lambda: tasks)
        tasks[0].cancel()
        await turns(3)
        assert tasks[0].cancelled() and contexts == []

    run(main, any_server)


def test_a_loss_found_by_another_thread_is_told_on_the_loops(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        threads: list[int] = []
        lock = Redisson(
            redis, key=key, ex=EX, on_lost=lambda *_: threads.append(threading.get_ident()), stall_limit=0
        )
        assert await lock.acquire()
        outlive(lock)
        looking = threading.Thread(target=lock.is_locked)
        looking.start()
        looking.join()
        assert threads == []
        await aeventually(lambda: threads)
        assert threads == [threading.get_ident()]

    run(main, any_server)


@pytest.mark.parametrize("way", ["release", "exit"])
def test_a_loss_told_late_by_the_release(run: Run, server: Server, key: str, way: str) -> None:
    """The server answers "not yours" to the release: release() raises, and the callable is told as well."""

    async def main(redis: Client) -> None:
        told, on_lost = teller()
        lock = Redisson(redis, key=key, on_lost=on_lost)
        if way == "exit":
            async with lock:
                held_by_another(server, key)
        else:
            assert await lock.acquire()
            held_by_another(server, key)
            with pytest.raises(LockLostError, match="before it was released"):
                await lock.release()
            with pytest.raises(LockLostError):
                await lock.release()
        await turns(3)
        assert len(told) == 1
        assert "lost before it was released" in str(told[0][1])
        assert value_of(server, key) == "another"
        free(server, key)

    run(main, server)


def test_a_release_in_doubt_tells_of_no_loss(run: Run, any_server: Server, key: str) -> None:
    """Its first RELEASE was executed and its reply cut off: the second one's "no" says nothing."""

    async def main() -> None:
        with proxy_before(any_server) as proxy:
            told, on_lost = teller()
            async with via(proxy) as client, Redisson(client, key=key, on_lost=on_lost):
                proxy.cut_at("RELEASE", 0)
            await turns(3)
            assert told == []

    run(main)


def test_a_body_can_be_cancelled_from_python_3_11_on() -> None:
    client = redis.asyncio.Redis(port=1)
    if sys.version_info >= (3, 11):
        assert not Redisson(client, on_lost="cancel").is_locked()
    else:
        with pytest.raises(ValueError, match=r"on_lost.*3\.11"):
            Redisson(client, on_lost="cancel")


def test_nothing_is_told_where_nothing_was_lost(
    run: Run, any_server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        told, on_lost = teller()
        async with Redisson(redis, key=key, ex=EX, on_lost=on_lost):
            await asyncio.sleep(2 * EX)
        async with Redisson(redis, key=key, on_lost=on_lost) as lock:
            assert lock is not None
            await aclose(redis)  # the program's own doing is no loss
            assert not lock.is_locked()
        with pytest.raises(LockNotOwnedError) as raised:
            await lock.release()
        assert not isinstance(raised.value, LockLostError)
        await turns(3)
        assert told == []

    run(main, any_server)


def test_a_cycle_through_the_callable_is_collected(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        alive: list[weakref.ref[Any]] = []

        def cycle(lost: bool) -> Redisson:
            locks: list[Redisson] = []
            lock = Redisson(redis, key=key, ex=EX, on_lost=lambda *_: locks, stall_limit=0)
            locks.append(lock)
            alive.append(weakref.ref(lock))
            return lock

        cycle(False)
        used = cycle(True)
        assert await used.acquire()
        await used.release()
        del used
        lost = cycle(True)
        assert await lost.acquire()
        outlive(lost)
        assert not lost.is_locked()
        await turns(3)
        del lost
        gc.collect()
        assert [reference() for reference in alive] == [None] * 3

    run(main, any_server)


ENDING = """
import asyncio, sys, time
import redis.asyncio
from aioredlock_c import Redisson

async def on_lost(lock, error):
    await asyncio.sleep(3600)

async def main(port, key):
    client = redis.asyncio.Redis(port=port)
    locks = [Redisson(client, key=f"{key}-{n}", ex=0.1, on_lost=on_lost, stall_limit=0) for n in range(10)]
    assert await asyncio.gather(*(lock.acquire() for lock in locks)) == [True] * 10
    time.sleep(0.2)
    assert not any(lock.is_locked() for lock in locks)
    for _ in range(int(sys.argv[3])):
        await asyncio.sleep(0)
    await client.aclose()

asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
"""


@pytest.mark.parametrize("turns_left", [0, 1, 2, 5])
def test_a_program_that_ends_meanwhile_says_nothing(any_server: Server, key: str, turns_left: int) -> None:
    assert run_clean(ENDING, any_server.port, key, turns_left) == ""
