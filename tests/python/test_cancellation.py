"""Cancelled at any moment: no key stays behind, nobody else is harmed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

import pytest
from conftest import Run, keys_left
from support.clients import Client, client_of, free, held_by_another, value_of
from support.programs import run_clean
from support.servers import Server
from support.waiting import aeventually, turns

from aioredlock_c import Redisson

pytestmark = pytest.mark.portable
TURNS = range(50)


async def cancelled(task: asyncio.Task[Any]) -> bool:
    """Cancels and awaits the task; was it cancelled, or done before?"""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return task.cancelled()


async def nothing_left(server: Server, key: str) -> None:
    await aeventually(lambda: not keys_left(server, key), 1.0, "a key is left after a second")


@pytest.mark.parametrize("warm", [True, False], ids=["connected", "not connected"])
def test_acquire_cancelled_at_each_turn(run: Run, any_server: Server, key: str, warm: bool) -> None:
    async def main() -> None:
        outcomes = set()
        for count in TURNS:
            async with client_of(any_server) as redis:
                if warm:
                    await Redisson(redis, key=f"{key}-warm-up").locked()
                lock = Redisson(redis, key=f"{key}-{count}")
                task = asyncio.create_task(lock.acquire())
                await turns(count)
                outcomes.add(was_cancelled := await cancelled(task))
                assert lock.is_locked() is not was_cancelled
                if was_cancelled:
                    assert await lock.acquire(blocking_timeout=2) is True  # usable at once
                await lock.release()
        assert True in outcomes
        await nothing_left(any_server, key)

    run(main)


def test_acquire_cancelled_at_each_turn_leaves_no_key(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        locks = []
        for count in TURNS:
            locks.append(lock := Redisson(redis, key=f"{key}-{count}"))
            task = asyncio.create_task(lock.acquire())
            await turns(count)
            if not await cancelled(task):
                await lock.release()
        await nothing_left(server, key)

    run(main, server)


def test_release_cancelled_at_each_turn_still_releases(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        for count in TURNS:
            lock = Redisson(redis, key=f"{key}-{count}")
            assert await lock.acquire()
            task = asyncio.create_task(lock.release())
            await turns(count)
            await cancelled(task)
            # A task that was cancelled before its first step never called release().
            assert count == 0 or not lock.is_locked()
            if lock.is_locked():
                await lock.release()
        await nothing_left(server, key)

    run(main, server)


def test_async_with_cancelled_at_each_turn(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async def whole(name: str) -> None:
            async with Redisson(redis, key=name):
                await turns(3)

        for count in TURNS:
            task = asyncio.create_task(whole(f"{key}-{count}"))
            await turns(count)
            await cancelled(task)
        await nothing_left(any_server, key)

    run(main, any_server)


@pytest.mark.parametrize("between", [0, 1, 2, 5])
def test_cancelled_twice(run: Run, any_server: Server, key: str, between: int) -> None:
    async def main(redis: Client) -> None:
        async def whole(name: str) -> None:
            async with Redisson(redis, key=name):
                await asyncio.sleep(60)

        for count in range(20):
            task = asyncio.create_task(whole(f"{key}-{count}"))
            await turns(count)
            task.cancel()
            await turns(between)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await nothing_left(any_server, key)

    run(main, any_server)


def test_a_cancellation_of_the_body_reaches_the_caller(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        entered = asyncio.Event()

        async def body() -> None:
            async with Redisson(redis, key=key):
                entered.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(body())
        await entered.wait()
        assert await cancelled(task)
        assert value_of(any_server, key) is None

    run(main, any_server)


def test_waiters_cancelled_anywhere_leave_the_others_in_order(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        order: list[int] = []
        holder = Redisson(redis, key=key)
        assert await holder.acquire()

        async def one(number: int) -> None:
            async with Redisson(redis, key=key, retry_count=None):
                order.append(number)

        tasks = []
        for number in range(30):
            tasks.append(asyncio.create_task(one(number)))
            await turns(1)
        for number in (0, 1, 7, 15, 28, 29):
            assert await cancelled(tasks[number])
        await holder.release()
        await asyncio.wait(tasks)
        assert order == [n for n in range(30) if n not in (0, 1, 7, 15, 28, 29)]

    run(main, any_server)


def test_all_waiters_cancelled_while_another_process_holds(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        held_by_another(any_server, key)
        tasks = [asyncio.create_task(Redisson(redis, key=key).acquire()) for _ in range(50)]
        await turns(20)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {asyncio.CancelledError}
        free(any_server, key)
        async with Redisson(redis, key=key) as lock:
            assert lock is not None

    run(main, any_server)


def test_all_tasks_cancelled_while_connecting(run: Run, any_server: Server, key: str) -> None:
    """Our own dial is among asyncio.all_tasks(); whoever waits on is served all the same."""

    async def main(redis: Client) -> None:
        me = asyncio.current_task()
        for count in range(15):
            async with client_of(any_server) as fresh:
                lock = Redisson(fresh, key=f"{key}-{count}")
                doomed = asyncio.create_task(lock.acquire())
                await turns(count)
                for task in asyncio.all_tasks() - {me}:
                    task.cancel()
                await asyncio.wait([doomed])
                assert lock.is_locked() is not doomed.cancelled()
                if lock.is_locked():
                    await lock.release()
                later = Redisson(fresh, key=f"{key}-later")
                assert await later.acquire(blocking_timeout=5) is True
                await later.release()

    run(main, any_server)


def test_an_async_generator_that_is_closed_gives_its_lock_back(
    run: Run, any_server: Server, key: str
) -> None:
    async def main(redis: Client) -> None:
        async def guarded() -> AsyncGenerator[int, None]:
            async with Redisson(redis, key=key):
                yield 1
                yield 2

        generator = guarded()
        async for value in generator:
            assert value == 1 and value_of(any_server, key) is not None
            break
        await generator.aclose()
        assert value_of(any_server, key) is None

    run(main, any_server)


def test_a_coroutine_closed_while_it_waits_or_holds(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async def whole(name: str) -> None:
            async with Redisson(redis, key=name):
                await asyncio.sleep(60)

        def step(coroutine: Coroutine[Any, Any, None]) -> asyncio.Future[Any]:
            future: asyncio.Future[Any] = coroutine.send(None)
            return future

        await Redisson(redis, key=f"{key}-warm-up").locked()
        waiting = whole(f"{key}-waiting")
        step(waiting)
        waiting.close()
        dropped = whole(f"{key}-dropped")
        step(dropped)
        del dropped
        await nothing_left(any_server, key)

    run(main, any_server)


MANY = """
import asyncio, gc, os, sys, time
import redis.asyncio
from aioredlock_c import Redisson

def descriptors():
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))

def blocks():
    gc.collect()
    return sys.getallocatedblocks()

async def round_of(client, prefix):
    async def one(number):
        async with Redisson(client, key=f"{prefix}-{number % 1000}", retry_count=None):
            raise AssertionError("entered")
    tasks = [asyncio.create_task(one(number)) for number in range(10_000)]
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)

async def main(port, prefix):
    client = redis.asyncio.Redis(port=port)
    names = [f"redisson:{prefix}-{number}" for number in range(1000)]
    await client.mset(dict.fromkeys(names, "another"))
    keys = await client.dbsize()
    figures = []
    for _ in range(5):
        await round_of(client, prefix)
        await asyncio.sleep(0.3)
        figures.append((blocks(), descriptors()))
    assert set(await client.mget(names)) == {b"another"}
    assert await client.dbsize() == keys
    await client.delete(*names)
    await client.aclose()
    first, last = figures[1], figures[-1]
    assert last[1] == first[1], figures
    # The interpreter's own caches grow by a few hundred blocks; one for each key would be a thousand a round.
    assert min(after[0] - before[0] for before, after in zip(figures, figures[1:])) < 500, figures

asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
"""


def test_ten_thousand_waiters_cancelled_leave_nothing(any_server: Server, key: str) -> None:
    # Without -X dev, which logs each turn that is slow: ten thousand tasks make some.
    run_clean(MANY, any_server.port, key, flags=("-W", "error"), timeout=120)
