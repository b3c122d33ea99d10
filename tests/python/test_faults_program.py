"""What the user's own program can do to a lock: exceptions at the worst place, other tasks, other threads."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from conftest import Run, keys_left, run_on_loop
from support.clients import Client, free, held_by_another, make_client, value_of
from support.programs import run_clean
from support.servers import Server
from support.waiting import aeventually, eventually

from aioredlock_c import Redisson

pytestmark = pytest.mark.portable


# ---- what ends the loop is raised in the very step that was given the lock ----

FATAL: dict[str, type[BaseException]] = {"interrupt": KeyboardInterrupt, "exit": SystemExit}


@pytest.mark.parametrize("kind", list(FATAL))
@pytest.mark.parametrize("waits", [False, True], ids=["from the server", "handed on"])
def test_what_ends_the_loop_goes_through_and_the_lock_is_given_back(
    loop_kind: str, any_server: Server, key: str, kind: str, waits: bool
) -> None:
    client = make_client(any_server)
    entered: list[int] = []

    async def one(number: int) -> None:
        async with Redisson(client, key=key, retry_count=None):
            entered.append(number)
            if number == 1:
                raise FATAL[kind]("the end")
            await asyncio.sleep(0.01)

    async def main() -> None:
        # A task of its own: its step is the wake-up itself.
        await asyncio.gather(*(one(number) for number in ((0, 1, 2) if waits else (1,))))

    with pytest.raises(FATAL[kind]):
        run_on_loop(loop_kind, main)
    assert entered[-1] == 1 or 2 in entered
    eventually(lambda: value_of(any_server, key) is None, 0.5)

    async def again() -> None:
        async with Redisson(client, key=key, retry_count=None) as lock:
            assert lock is not None

    run_on_loop(loop_kind, again)


def test_a_step_that_fails_ends_its_task_alone(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

        async def one(number: int) -> int:
            async with Redisson(redis, key=key, retry_count=None):
                if number % 3 == 1:
                    raise ValueError(number)
                return number

        results = await asyncio.gather(*(one(number) for number in range(30)), return_exceptions=True)
        assert [type(result) for result in results] == [int, ValueError, int] * 10
        assert told == []
        assert value_of(any_server, key) is None

    run(main, any_server)


def test_a_done_callback_that_raises_is_told_and_harms_nobody(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        told: list[BaseException] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: told.append(context["exception"]))
        held = Redisson(redis, key=key)
        assert await held.acquire()
        waiter: Any = Redisson(redis, key=key, retry_count=None).acquire()
        waiter.send(None)  # as a scheduler of its own would
        waiter.add_done_callback(lambda done: 1 / 0)
        other = asyncio.create_task(Redisson(redis, key=key + "-2").acquire())
        await held.release()
        await aeventually(lambda: told)
        assert [type(error) for error in told] == [ZeroDivisionError]
        assert await other is True
        with pytest.raises(StopIteration) as done:
            waiter.send(None)
        assert done.value.value is True
        free(any_server, key + "-2")

    run(main, any_server)
    eventually(lambda: not keys_left(any_server, key))


# ---- a log that raises ----


class Raises(logging.Handler):
    """As a handler whose disk is full and that does not catch it."""

    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("no space left for the log")


@pytest.fixture
def broken_log() -> Any:
    logger, handler = logging.getLogger("aioredlock_c"), Raises()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_a_log_handler_that_raises_costs_no_lock(
    run: Run, any_server: Server, key: str, broken_log: logging.Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is to be logged just when others are to be woken; the handler's error is nobody's business."""

    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key, ex=0.3) as lock:
            assert lock is not None
            kept = Redisson(redis, key=f"{key}-kept", ex=0.3)
            assert await kept.acquire()
            waits = asyncio.create_task(Redisson(redis, key=key, retry_count=None).acquire())
            await asyncio.sleep(0)
            free(any_server, key)
            await aeventually(lambda: not lock.is_locked())
            assert await waits is True
            await asyncio.sleep(0.4)
            assert kept.is_locked() and value_of(any_server, kept.key) == kept.uuid()
            await kept.release()

    seen: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: seen.append(str(told.exc_value)))
    run(main, any_server)
    assert seen and all("no space left" in text for text in seen)


# ---- tasks that are not CPython's own in C ----


def test_tasks_in_python(run: Run, any_server: Server, key: str) -> None:
    """A task class in Python asks more of what it awaits than the one in C."""
    task_class: Any = asyncio.tasks._PyTask  # type: ignore[attr-defined]

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        return task_class(coroutine, loop=loop, **options)

    async def main(redis: Client) -> None:
        loop, count = asyncio.get_running_loop(), 0
        loop.set_task_factory(factory)

        async def one(lock: Redisson) -> None:
            nonlocal count
            async with lock as entered:
                assert entered is lock and value_of(any_server, key) == lock.uuid()
                seen = count
                await asyncio.sleep(0)
                count = seen + 1

        tasks = [loop.create_task(one(Redisson(redis, key=key, retry_count=None))) for _ in range(20)]
        assert {type(task) for task in tasks} == {task_class}
        await asyncio.wait(tasks)
        assert [task.exception() for task in tasks] == [None] * 20 and count == 20
        held_by_another(any_server, key)
        waits = loop.create_task(Redisson(redis, key=key, retry_count=None).acquire())
        late = loop.create_task(asyncio.wait_for(Redisson(redis, key=key, retry_count=None).acquire(), 0.05))
        bare = loop.create_task(Redisson(redis, key=f"{key}-bare").acquire())
        assert await bare is True
        waits.cancel("enough")
        with pytest.raises(asyncio.CancelledError):
            await waits
        with pytest.raises(asyncio.TimeoutError):
            await late
        free(any_server, key)
        free(any_server, f"{key}-bare")

    run(main, any_server)


# ---- other threads ----


def elsewhere(body: Callable[[], object]) -> None:
    """Runs it in a thread of its own, and hands on what it raises."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            body()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join(10)
    assert not thread.is_alive() and errors == []


def test_a_held_lock_that_is_collected_on_another_thread(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        assert await lock.acquire()
        box = [lock]
        del lock
        waits = asyncio.create_task(Redisson(redis, key=key, retry_count=None).acquire())
        await asyncio.sleep(0.01)
        with pytest.warns(ResourceWarning, match=key):
            await asyncio.get_running_loop().run_in_executor(None, box.clear)
            assert await asyncio.wait_for(waits, 2) is True
        free(any_server, key)

    run(main, any_server)


def test_a_waiter_that_is_destroyed_on_another_thread(run: Run, any_server: Server, key: str) -> None:
    """It leaves the queue, or passes on what it was given; the next one is served."""

    async def main(redis: Client) -> None:
        for given in (False, True):
            held = Redisson(redis, key=key)
            assert await held.acquire()
            box: list[Any] = [Redisson(redis, key=key, retry_count=None).acquire()]
            box[0].send(None)
            following = Redisson(redis, key=key, retry_count=None)
            task = asyncio.create_task(following.acquire())
            await asyncio.sleep(0)
            if given:
                await held.release()
            elsewhere(box.clear)
            if not given:
                await held.release()
            assert await asyncio.wait_for(task, 2) is True
            assert value_of(any_server, key) == following.uuid()
            await following.release()

    run(main, any_server)


def test_a_cycle_with_a_held_lock_is_collected_on_another_thread(
    run: Run, any_server: Server, key: str
) -> None:
    async def main(redis: Client) -> None:
        bag: dict[str, Any] = {}
        bag["lock"] = Redisson(redis, key=key, carry=bag)
        assert await bag["lock"].acquire()
        del bag
        with pytest.warns(ResourceWarning, match=key):
            elsewhere(gc.collect)
            await aeventually(lambda: value_of(any_server, key) is None)

    gc.collect()
    run(main, any_server)


def test_the_client_goes_on_another_thread(loop_kind: str, any_server: Server, key: str) -> None:
    async def main() -> None:
        box = [make_client(any_server)]
        async with Redisson(box[0], key=key):
            pass
        before = any_server.admin().info("clients")["connected_clients"]

        def drop() -> None:
            box.clear()
            gc.collect()

        elsewhere(drop)
        await aeventually(lambda: any_server.admin().info("clients")["connected_clients"] < before, 3)

    run_on_loop(loop_kind, main)


def test_looks_from_another_thread_do_no_harm(run: Run, any_server: Server, key: str) -> None:
    """is_locked() and the like answer from any thread; to await belongs to the loop of the hold."""

    async def main(redis: Client) -> None:
        stop = threading.Event()
        seen: set[bool] = set()

        def look(lock: Redisson) -> None:
            while not stop.is_set():
                seen.add(lock.is_locked())
                assert lock.remaining() >= 0.0 and lock.uuid() and repr(lock)

        lock = Redisson(redis, key=key, ex=0.2)
        threads = [threading.Thread(target=look, args=(lock,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(50):
                async with lock:
                    await asyncio.sleep(0.001)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert seen == {True, False}

    run(main, any_server)


def callers() -> list[str]:
    """The names of the functions that called, up to `main`."""
    frame, names = sys._getframe(), [""]
    while names[-1] != "main" and len(names) < 100:
        frame = frame.f_back  # type: ignore[assignment]
        names.append(frame.f_code.co_name)
    return names[1:]


async def begun() -> list[str]:
    return callers()


def begin_and_collect() -> Coroutine[Any, Any, list[str]]:
    """Makes a coroutine; before CPython 3.12 a collection comes in the midst of it."""
    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    gc.enable()
    coroutine = begun()
    gc.set_threshold(*thresholds)
    return coroutine


@pytest.mark.parametrize("within", ["a task", "nothing"])
def test_a_collection_in_the_midst_of_a_call_leaves_its_frames_whole(
    run: Run, any_server: Server, key: str, within: str
) -> None:
    """CPython 3.11 collects while it begins a coroutine: a loop in debug mode looks at the callers then."""

    async def main(redis: Client) -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        gone: list[Any] = []
        async with Redisson(redis, key=key, ex=60):
            gc.collect()
            gc.disable()
            held = Redisson(redis, key=f"{key}-held", ex=60)
            assert await held.acquire()
            lock = Redisson(redis, key=key, retry_count=None)
            cycle: list[Any] = [held, lock.acquire()]
            if within == "a task":
                cycle[1] = loop.create_task(cycle[1])
                await asyncio.sleep(0.01)
            else:
                cycle[1].send(None)
            cycle.append(cycle)
            weakref.finalize(lock, gone.append, True)
            del held, lock, cycle
            coroutine = begin_and_collect()
            assert gone or sys.version_info >= (3, 12)
            assert await coroutine == ["begun", "main"]
            gc.collect()
            await aeventually(lambda: value_of(any_server, f"{key}-held") is None)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        run(main, any_server, socket_timeout=0.3)


def test_an_interrupt_while_the_loop_is_woken_costs_no_waiter(any_server: Server, key: str) -> None:
    """A thread takes in that a lock is passed on, and cannot tell the loop; the interrupt is raised later."""
    struck: list[int] = []
    strikes = iter([True, True])

    async def main() -> None:
        loop = asyncio.get_running_loop()
        call = loop.call_soon_threadsafe

        def strike(*arguments: Any, **options: Any) -> Any:
            if next(strikes, False):
                raise KeyboardInterrupt
            return call(*arguments, **options)

        async with make_client(any_server) as redis:
            lost = Redisson(redis, key=f"{key}-lost", ex=0.2, stall_limit=0)
            held = [Redisson(redis, key=key, ex=6)]
            following = Redisson(redis, key=key, ex=6, retry_count=None)
            assert await lost.acquire() and await held[0].acquire()
            task = asyncio.create_task(following.acquire())
            await asyncio.sleep(0.01)
            loop.call_soon_threadsafe = strike  # type: ignore[method-assign,assignment]
            with pytest.warns(ResourceWarning, match=key):
                elsewhere(held.clear)
            time.sleep(0.3)  # the lease of the other one ends: a look takes in all that happened
            elsewhere(lambda: struck.append(lost.is_locked()))
            assert await asyncio.wait_for(task, 2)
            await following.release()

    before = signal.signal(signal.SIGINT, lambda number, frame: struck.append(number))
    try:
        asyncio.run(main())
    finally:
        signal.signal(signal.SIGINT, before)
    assert False in struck and signal.SIGINT in struck and next(strikes, None) is None


# ---- how interpreters end ----

RANDOM = """
import asyncio, random, sys
import redis.asyncio
from aioredlock_c import Redisson

kind, port, key, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
dice = random.Random(seed)
client = redis.asyncio.Redis(host="127.0.0.1", port=port)
kept = []  # until the interpreter itself ends

async def one(number):
    lock = Redisson(client, key=f"{key}-{dice.randrange(4)}", ex=1, retry_count=None)
    kept.append(lock)
    while True:
        async with lock:
            await asyncio.sleep(dice.uniform(0, 0.003))
        if dice.random() < 0.2:
            await lock.locked()

async def generator(number):
    async with Redisson(client, key=f"{key}-{number}", ex=1, retry_count=None) as lock:
        yield lock

async def main():
    tasks = [asyncio.create_task(one(number)) for number in range(10)]
    if dice.random() < 0.5:
        kept.append(tasks)
    if dice.random() < 0.5:
        kept.append(generator(5))
        await kept[-1].__anext__()
    kept.append(Redisson(client, key=f"{key}-6", ex=1))
    if dice.random() < 0.5:
        assert await kept[-1].acquire()
    waiter = Redisson(client, key=f"{key}-6", retry_count=None).acquire()
    waiter.send(None)
    kept.append(waiter)
    await asyncio.sleep(dice.uniform(0, 0.05))
    how = dice.randrange(3)
    if how == 0:
        sys.exit(0)
    if how == 1:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(1)

def run():
    if kind == "uvloop":
        import uvloop
        uvloop.run(main())
    else:
        asyncio.run(main())

for _ in range(8):
    try:
        run()
    except (SystemExit, RuntimeError) as error:
        assert isinstance(error, SystemExit) or "stopped before" in str(error), error
    if dice.random() < 0.3:
        kept.clear()
"""


@pytest.mark.parametrize("seed", range(6))
def test_loops_and_interpreters_that_end_at_random_points(
    any_server: Server, key: str, loop_kind: str, seed: int
) -> None:
    assert run_clean(RANDOM, loop_kind, any_server.port, key, seed) == ""
    eventually(lambda: not keys_left(any_server, key), 1.5)
