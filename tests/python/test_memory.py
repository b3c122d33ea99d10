"""Nothing stays behind: neither objects nor bytes nor references, whatever way a lock went.

The counts are taken in processes of their own and judged by several rounds: what grows with each is a leak.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from typing import Any

import pytest
from conftest import Run
from support.clients import Client, free, held_by_another, on_server, value_of
from support.programs import run_clean
from support.servers import Server
from support.waiting import aeventually, turns

from aioredlock_c import Redisson

HEAD = """
import asyncio, gc, sys
import redis.asyncio
from aioredlock_c import Redisson

port, key, job, rounds, each = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
TASKS = 50
BRISK = {"sleeptime_l": 0, "sleeptime_h": 0}

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

async def pairs(client, number):
    for _ in range(each // TASKS):
        async with Redisson(client, key=f"{key}-{number}") as lock:
            assert lock is not None

async def one_object(client, number):
    lock = Redisson(client, key=f"{key}-{number}", carry=[number])
    for _ in range(each // TASKS):
        assert await lock.acquire()
        await lock.release()

async def handed_on(client, number):
    for _ in range(each // TASKS):
        async with Redisson(client, key=f"{key}-{number % 5}", retry_count=None, **BRISK):
            await asyncio.sleep(0)

async def failures(client, number):
    for _ in range(each // TASKS):
        assert await Redisson(client, key=f"{key}-busy-{number}").acquire(blocking=False) is False
        async with Redisson(client, key=f"{key}-busy-{number}", retry_count=1, **BRISK) as lock:
            assert lock is None
        try:
            await Redisson(client, key=f"{key}-{number}").release()
        except Exception:
            pass
        try:
            Redisson(client, key=f"{key}-{number}", ex="x")
        except TypeError:
            pass

async def cancellations(client, number):
    for turn in range(each // TASKS):
        task = asyncio.create_task(Redisson(client, key=f"{key}-{number}").acquire())
        for _ in range(turn % 7):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            continue
        del task

async def extensions(client, number):
    async with Redisson(client, key=f"{key}-{number}") as lock:
        for _ in range(each // TASKS):
            await lock.extend(20)
            await lock.locked()
            repr(lock), lock.uuid(), lock.remaining(), lock.is_locked()

async def main():
    import warnings
    warnings.simplefilter("ignore", ResourceWarning)  # a lock got before the cancellation is collected held
    client = redis.asyncio.Redis(port=port)
    names = [f"redisson:{key}-busy-{number}" for number in range(TASKS)]
    await client.mset(dict.fromkeys(names, "another"))
    figures = []
    for _ in range(rounds):
        await asyncio.gather(*(globals()[job](client, number) for number in range(TASKS)))
        for _ in range(5):
            await asyncio.sleep(0.02)
            gc.collect()
        figures.append((sys.getallocatedblocks(), len(gc.get_objects()), resident()))
    await client.delete(*names)
    await client.aclose()
    steps = [(b[0] - a[0], b[1] - a[1], b[2] - a[2]) for a, b in zip(figures[1:], figures[2:])]
    # Each round by itself may find a cache grown; a leak shows in all of them.
    assert min(step[0] for step in steps) < each / 100, steps
    assert min(step[1] for step in steps) < each / 100, steps
    assert min(step[2] for step in steps) < each * 4, steps

asyncio.run(main())
"""


@pytest.mark.exact
@pytest.mark.parametrize(
    ("job", "rounds", "each"),
    [
        ("pairs", 5, 20_000),
        ("one_object", 5, 10_000),
        ("handed_on", 5, 5_000),
        ("failures", 5, 5_000),
        ("cancellations", 5, 5_000),
        ("extensions", 4, 10_000),
    ],
)
def test_rounds_leave_nothing_behind(any_server: Server, key: str, job: str, rounds: int, each: int) -> None:
    # Without -X dev: asyncio in debug mode keeps and logs far more than it does in use.
    run_clean(HEAD, any_server.port, key, job, rounds, each, flags=("-W", "error"), timeout=120)


class Bag:
    """Something that can be weakly referenced."""


def test_a_lock_keeps_and_lets_go_of_its_arguments(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        bag = Bag()
        before = sys.getrefcount(bag), sys.getrefcount(redis)
        for _ in range(100):
            lock: Redisson | None = Redisson(redis, key=key, carry=bag)
            assert lock is not None
            assert sys.getrefcount(bag) == before[0] + 1
            async with lock:
                pass
            lock.carry = None
            assert sys.getrefcount(bag) == before[0]
            lock.carry = bag
            lock = None
        await turns(3)
        gc.collect()
        assert (sys.getrefcount(bag), sys.getrefcount(redis)) == before

    run(main, any_server)


def test_results_are_not_leaked(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        # Of immortal objects the count says nothing; the lock itself and exceptions are counted.
        before = sys.getrefcount(lock)
        for _ in range(50):
            async with lock as entered:
                del entered
            for bad in (lock.release, lambda: lock.extend(5)):
                with pytest.raises(Exception, match=key):
                    await bad()
        await turns(3)
        gc.collect()
        assert sys.getrefcount(lock) == before

    run(main, any_server)


def test_arguments_refused_are_let_go(any_server: Server) -> None:
    client = Client(port=1)
    bag = Bag()
    before = sys.getrefcount(bag), sys.getrefcount(client)
    for number in range(100):
        with pytest.raises((TypeError, ValueError)):
            Redisson(client, key="", carry=bag)
        with pytest.raises((TypeError, ValueError)):
            Redisson(client, ex=bag)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            Redisson(client, carry=bag, nothing=number)  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            Redisson(bag, key="k")
    gc.collect()
    assert (sys.getrefcount(bag), sys.getrefcount(client)) == before


def test_cycles_through_a_lock_are_collected(run: Run, any_server: Server, key: str) -> None:
    class Mine(Redisson):
        pass

    async def main(redis: Client) -> None:
        for used in (False, True):
            bag: Any = Bag()
            lock: Any = Mine(redis, key=key, carry=bag)
            bag.lock = lock
            lock.itself = lock
            if used:
                async with lock:
                    pass
            gone = weakref.ref(bag), weakref.ref(lock)
            del bag, lock
            await turns(2)
            gc.collect()
            assert gone[0]() is None and gone[1]() is None

    run(main, any_server)


@pytest.mark.portable
def test_a_held_lock_that_is_collected_is_released(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock: Redisson | None = Redisson(redis, key=key)
        assert lock is not None and await lock.acquire()
        assert value_of(server, key) is not None
        with pytest.warns(ResourceWarning, match=key):
            lock = None
            gc.collect()
        await aeventually(lambda: value_of(server, key) is None, 1)

    run(main, server)


@pytest.mark.portable
def test_a_held_lock_in_a_cycle_is_released(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        bag: Any = Bag()
        bag.lock = Redisson(redis, key=key, carry=bag)
        assert await bag.lock.acquire()
        with pytest.warns(ResourceWarning, match=key):
            del bag
            gc.collect()
        await aeventually(lambda: value_of(any_server, key) is None, 1)

    run(main, any_server)


@pytest.mark.portable
def test_a_held_lock_that_is_collected_lets_the_next_in(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock: Redisson | None = Redisson(redis, key=key)
        assert lock is not None and await lock.acquire()
        following = Redisson(redis, key=key, retry_count=None)
        waiting = asyncio.create_task(following.acquire())
        await turns(3)
        with pytest.warns(ResourceWarning, match=key):
            lock = None
            gc.collect()
        assert await asyncio.wait_for(waiting, 5) is True
        assert value_of(any_server, key) == following.uuid()
        await following.release()

    run(main, any_server)


def test_a_task_that_waits_keeps_its_lock_alive(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        held_by_another(any_server, key)
        task = asyncio.create_task(Redisson(redis, key=key, retry_count=None).acquire())
        for _ in range(5):
            await turns(2)
            gc.collect()
        assert not task.done()
        free(any_server, key)
        with pytest.warns(ResourceWarning, match=key):  # got, and nobody has the object any more
            assert await task is True
            del task
            gc.collect()
        await aeventually(lambda: not any_server.admin().exists(on_server(key)), 1)

    run(main, any_server)
