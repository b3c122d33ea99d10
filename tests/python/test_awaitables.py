"""What acquire(), release() and the rest return: a coroutine to everything that takes coroutines."""

from __future__ import annotations

import asyncio
import collections.abc
import contextvars
import gc
import inspect
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from conftest import Run
from support.clients import Client, client_of, free, held_by_another, on_server, value_of
from support.monitor import Monitor
from support.servers import Server
from support.waiting import turns

from aioredlock_c import Redisson

pytestmark = pytest.mark.portable

Maker = Callable[[Redisson], Coroutine[Any, Any, Any]]
MAKERS: dict[str, Maker] = {
    "acquire": lambda lock: lock.acquire(),
    "release": lambda lock: lock.release(),
    "extend": lambda lock: lock.extend(5),
    "locked": lambda lock: lock.locked(),
    "enter": lambda lock: lock.__aenter__(),
    "exit": lambda lock: lock.__aexit__(None, None, None),
}


@pytest.fixture(params=list(MAKERS))
def make(request: pytest.FixtureRequest) -> Maker:
    return MAKERS[request.param]


def test_each_is_a_coroutine_and_no_future(run: Run, any_server: Server, key: str, make: Maker) -> None:
    async def main(redis: Client) -> None:
        awaitable = make(Redisson(redis, key=key))
        assert isinstance(awaitable, collections.abc.Coroutine)
        assert asyncio.iscoroutine(awaitable)
        assert inspect.isawaitable(awaitable)
        assert asyncio.isfuture(awaitable) is False
        awaitable.close()

    run(main, any_server)


def test_never_awaited_warns_and_does_nothing(run: Run, any_server: Server, key: str, make: Maker) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        with pytest.warns(RuntimeWarning, match="never awaited"):
            make(lock)  # type: ignore[unused-coroutine]
            gc.collect()
        async with Redisson(redis, key=key) as other:  # nobody holds it, and it is not in use
            assert other is not None
        async with lock as entered:
            assert entered is lock

    with Monitor(any_server) as monitor:
        run(main, any_server)
        assert len(monitor.of("SET", on_server(key))) == 2


def test_closed_before_it_ran_it_is_silent_and_used_up(
    run: Run, any_server: Server, key: str, make: Maker
) -> None:
    async def main(redis: Client) -> None:
        awaitable = make(Redisson(redis, key=key))
        awaitable.close()
        awaitable.close()
        with pytest.raises(RuntimeError):
            await awaitable

    run(main, any_server)


@pytest.mark.parametrize("name", ["acquire", "enter", "locked"])
def test_awaited_twice_raises(run: Run, any_server: Server, key: str, name: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        awaitable = MAKERS[name](lock)
        await awaitable
        with pytest.raises(RuntimeError, match="already"):
            await awaitable
        with pytest.raises(RuntimeError, match="already"):
            await asyncio.ensure_future(awaitable)
        if lock.is_locked():
            await lock.release()

    run(main, any_server)


def test_awaited_by_two_tasks_raises_in_one(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        held_by_another(any_server, key)
        lock = Redisson(redis, key=key, retry_count=None)
        awaitable = lock.acquire()

        async def wait() -> bool:
            return await awaitable

        first = asyncio.create_task(wait())
        await turns(2)
        with pytest.raises(RuntimeError, match="already"):
            await wait()
        free(any_server, key)
        assert await first is True
        await lock.release()

    run(main, any_server)


def test_the_protocol_of_a_coroutine(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        with pytest.raises(TypeError):
            lock_again = lock.acquire()
            try:
                lock_again.send(1)
            finally:
                lock_again.close()
        fresh = lock.acquire()
        with pytest.raises(KeyError, match="thrown"):
            fresh.throw(KeyError("thrown"))
        with pytest.raises(RuntimeError):
            await fresh
        waiting = lock.acquire()
        future = waiting.send(None)
        assert asyncio.isfuture(future)
        with pytest.raises(KeyError, match="thrown"):
            waiting.throw(KeyError("thrown"))
        assert await lock.acquire() is True
        await lock.release()

    run(main, any_server)


def test_its_value_comes_with_stop_iteration(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, retry_count=0)
        with pytest.raises(StopIteration) as stopped:
            lock.acquire().send(None)
        assert stopped.value.value is False

    run(main, any_server)


def test_closed_while_waiting_is_cancelled(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=f"{key}-warm-up"):
            pass
        lock = Redisson(redis, key=key)
        waiting = lock.acquire()
        waiting.send(None)
        waiting.close()
        assert await lock.acquire() is True  # it is not in use any more
        assert value_of(any_server, key) == lock.uuid()
        await lock.release()

    run(main, any_server)


def test_create_task_and_what_a_task_shows(run: Run, any_server: Server, key: str, make: Maker) -> None:
    async def main(redis: Client) -> None:
        asyncio.get_running_loop().set_debug(True)
        lock = Redisson(redis, key=key)
        task = asyncio.create_task(make(lock), name="mine")
        assert "mine" in repr(task)
        assert isinstance(task.get_stack(), list)
        await turns(1)
        assert "mine" in repr(task)
        assert isinstance(task.get_stack(), list)
        await asyncio.wait([task])
        if lock.is_locked():
            await lock.release()

    run(main, any_server)


def test_gather(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        locks = [Redisson(redis, key=f"{key}-{number}") for number in range(20)]
        assert await asyncio.gather(*(lock.acquire() for lock in locks)) == [True] * 20
        assert await asyncio.gather(*(lock.locked() for lock in locks)) == [True] * 20
        await asyncio.gather(*(lock.extend(20) for lock in locks))
        assert await asyncio.gather(*(lock.release() for lock in locks)) == [None] * 20

    run(main, any_server)


def test_gather_of_one_object_twice_raises_in_one(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        both: list[Any] = await asyncio.gather(lock.acquire(), lock.acquire(), return_exceptions=True)
        first, second = both
        assert first is True and isinstance(second, RuntimeError)
        await lock.release()

    run(main, any_server)


def test_wait_for(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, retry_count=None)
        assert await asyncio.wait_for(lock.acquire(), 5) is True
        await asyncio.wait_for(lock.release(), 5)
        held_by_another(any_server, key)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(lock.acquire(), 0.1)
        free(any_server, key)
        assert await asyncio.wait_for(lock.acquire(), 5) is True
        await lock.release()

    run(main, any_server)


def test_shield(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        held_by_another(any_server, key)
        lock = Redisson(redis, key=key, retry_count=None)
        inner = asyncio.ensure_future(lock.acquire())
        outer = asyncio.create_task(asyncio.wait_for(asyncio.shield(inner), 60))
        await turns(3)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        free(any_server, key)
        assert await inner is True
        assert await asyncio.shield(lock.locked()) is True
        await asyncio.shield(lock.release())

    run(main, any_server)


def test_wait_and_as_completed(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        locks = [Redisson(redis, key=f"{key}-{number}") for number in range(3)]
        for earliest in asyncio.as_completed([lock.acquire() for lock in locks]):
            assert await earliest is True
        done, pending = await asyncio.wait([asyncio.create_task(lock.release()) for lock in locks])
        assert len(done) == 3 and not pending

    run(main, any_server)


def test_run_coroutine_threadsafe(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        loop, lock, results = asyncio.get_running_loop(), Redisson(redis, key=key), []

        def elsewhere() -> None:
            results.append(asyncio.run_coroutine_threadsafe(lock.acquire(), loop).result(10))

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await loop.run_in_executor(None, thread.join)
        assert results == [True]
        await lock.release()

    run(main, any_server)


def test_the_context_of_the_task_is_kept(run: Run, any_server: Server, key: str) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")

    async def main(redis: Client) -> None:
        held_by_another(any_server, key, 0.1)

        async def body(name: str) -> None:
            variable.set(name)
            async with Redisson(redis, key=key, retry_count=None):
                assert variable.get() == name

        await asyncio.gather(*(body(f"task {number}") for number in range(5)))
        assert variable.get() == "outside"

    run(main, any_server)


if sys.version_info >= (3, 11):

    def test_timeout(run: Run, any_server: Server, key: str) -> None:
        async def main(redis: Client) -> None:
            held_by_another(any_server, key)
            lock = Redisson(redis, key=key, retry_count=None)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    async with lock:
                        pytest.fail("entered")
            free(any_server, key)
            async with asyncio.timeout(5):
                async with lock as entered:
                    assert entered is lock

        run(main, any_server)

    def test_task_group(run: Run, any_server: Server, key: str) -> None:
        async def main(redis: Client) -> None:
            locks = [Redisson(redis, key=f"{key}-{number}") for number in range(5)]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(lock.acquire()) for lock in locks]
            assert [task.result() for task in tasks] == [True] * 5
            held_by_another(any_server, key)
            with pytest.raises(Exception, match="unhandled errors in a TaskGroup"):
                async with asyncio.TaskGroup() as group:
                    group.create_task(Redisson(redis, key=key, retry_count=None).acquire())
                    group.create_task(Redisson(redis, key=f"{key}-0").release())  # not held: raises
            free(any_server, key)
            async with asyncio.TaskGroup() as group:
                for lock in locks:
                    group.create_task(lock.release())

        run(main, any_server)


if sys.version_info >= (3, 12):

    def test_eager_tasks(run: Run, any_server: Server, key: str) -> None:
        async def main(redis: Client) -> None:
            loop = asyncio.get_running_loop()

            def eager(coroutine: Coroutine[Any, Any, bool | None]) -> asyncio.Task[bool | None]:
                return asyncio.Task(coroutine, loop=loop, eager_start=True)

            lock = Redisson(redis, key=key)
            assert await eager(lock.acquire()) is True
            assert await eager(Redisson(redis, key=key).acquire(blocking=False)) is False
            assert await asyncio.gather(eager(lock.locked()), eager(lock.locked())) == [True, True]
            assert await eager(lock.release()) is None
            at_once = eager(Redisson(redis, key=key, retry_count=0).acquire())
            assert at_once.done() and at_once.result() is False

        run(main, any_server)

    def test_a_loop_whose_tasks_are_all_eager(any_server: Server, key: str) -> None:
        async def main() -> None:  # uvloop does not know this factory on every Python
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            async with client_of(any_server) as redis:
                locks = [Redisson(redis, key=key, retry_count=None) for _ in range(10)]

                async def one(lock: Redisson) -> str:
                    async with lock:
                        assert await redis.get(on_server(key)) == lock.uuid().encode()
                        return lock.uuid()

                assert all(await asyncio.gather(*map(one, locks)))
                refused = asyncio.create_task(Redisson(redis, key=key, retry_count=0).acquire())
                assert refused.done() and refused.result() is False

        asyncio.run(main())
