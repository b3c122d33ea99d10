"""A lease that was lost is known to be, once and for good: ensure_held(), release(), and one WARNING."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio
from conftest import Run
from support.clients import Client, free, held_by_another, on_server, value_of
from support.losing import outlive, told
from support.programs import start
from support.proxied import proxy_before, via
from support.servers import Server
from support.waiting import aeventually, turns

from aioredlock_c import LockLostError, LockNotOwnedError, Redisson

EX = 0.3


# ---- ensure_held ----


def test_ensure_held_says_nothing_while_the_lease_is_certain(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key, ex=EX) as lock:
            assert lock is not None
            for _ in range(60):
                assert lock.ensure_held() is None  # type: ignore[func-returns-value]
                lock.ensure_held(0.05)
                await asyncio.sleep(0.01)
            lock.ensure_held(seconds=None)

    run(main, any_server)


def test_ensure_held_asks_for_time_that_is_left(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key, ex=10) as lock:
            assert lock is not None
            lock.ensure_held(9)
            lock.ensure_held(seconds=6)
            with pytest.raises(LockLostError, match=rf"{key}.*9\.\d+ s.*15\.000 s"):
                lock.ensure_held(15)
            assert lock.is_locked()  # nothing was lost
            await lock.extend(30)
            lock.ensure_held(15)
            assert lock.is_locked()

    run(main, any_server)


def test_more_than_two_thirds_of_ex_fails_between_renewals(run: Run, any_server: Server, key: str) -> None:
    """As the documentation says; less is certain at all times."""

    async def main(redis: Client) -> None:
        ex = 1.2
        async with Redisson(redis, key=key, ex=ex) as lock:
            assert lock is not None
            failed = 0
            end = time.monotonic() + 1.5 * ex
            while time.monotonic() < end:
                lock.ensure_held(0.5 * ex)
                try:
                    lock.ensure_held(0.9 * ex)
                except LockLostError:
                    failed += 1
                await asyncio.sleep(0.005)
            assert failed > 20

    run(main, any_server)


def test_ensure_held_where_nothing_is_held(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        with pytest.raises(LockLostError, match=f"{key}.*not held"):
            lock.ensure_held()
        async with lock:
            lock.ensure_held()
        for arguments in ((), (5,)):
            with pytest.raises(LockLostError, match=f"{key}.*not held"):
                lock.ensure_held(*arguments)
        held_by_another(any_server, key)
        assert await lock.acquire(blocking=False) is False
        with pytest.raises(LockNotOwnedError):  # what it derives from
            lock.ensure_held()
        free(any_server, key)

    run(main, any_server)


@pytest.mark.parametrize("bad", ["1", [1], 1j, True, False])
def test_seconds_of_another_type(bad: Any) -> None:
    with pytest.raises(TypeError, match="seconds"):
        Redisson(redis.asyncio.Redis(port=1)).ensure_held(bad)


@pytest.mark.parametrize("bad", [0, -1, 0.01, float("nan"), float("inf"), 2e9])
def test_seconds_that_cannot_be(bad: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Redisson(redis.asyncio.Redis(port=1)).ensure_held(bad)


def test_ensure_held_takes_one_argument() -> None:
    lock: Any = Redisson(redis.asyncio.Redis(port=1))
    for arguments, named in (((1, 2), {}), ((), {"second": 1}), ((1,), {"seconds": 1})):
        with pytest.raises(TypeError):
            lock.ensure_held(*arguments, **named)
    unmade: Any = Redisson.__new__(Redisson)
    with pytest.raises(RuntimeError):
        unmade.ensure_held()


def test_ensure_held_does_no_io_and_waits_for_nothing(run: Run, any_server: Server, key: str) -> None:
    async def main() -> None:
        with proxy_before(any_server) as proxy:
            async with via(proxy) as client, Redisson(client, key=key, ex=10) as lock:
                assert lock is not None
                asked = len(proxy.requests)
                proxy.hold_requests = True
                begun = time.monotonic()
                for _ in range(10_000):
                    lock.ensure_held(5)
                assert time.monotonic() - begun < 1
                await turns(5)
                assert len(proxy.requests) == asked
                proxy.hold_requests = False

    run(main)


# ---- how a lease is lost ----

Breaking = Callable[[Any, str], Any]
BREAKINGS: dict[str, Breaking] = {
    "deleted": lambda admin, name: admin.delete(name),
    "overwritten": lambda admin, name: admin.set(name, "another", px=60_000),
    "of another type": lambda admin, name: (admin.delete(name), admin.rpush(name, "another")),
    "expired": lambda admin, name: admin.pexpireat(name, 1),
}


@pytest.mark.parametrize("breaking", BREAKINGS)
def test_what_others_do_to_the_key_is_told_within_a_renewal(
    run: Run, server: Server, key: str, breaking: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At the latest after ex / 3 + 0.1 s, whenever within the interval it was done."""
    ex = 0.6

    async def one(redis: Client, number: int) -> float:
        moments: list[float] = []
        name = f"{key}-{number}"
        async with Redisson(redis, key=name, ex=ex, on_lost=lambda *_: moments.append(time.monotonic())):
            await asyncio.sleep(number * ex / 24)
            BREAKINGS[breaking](server.admin(), on_server(name))
            broken = time.monotonic()
            await aeventually(lambda: moments, 2)
        server.admin().delete(on_server(name))
        return moments[0] - broken

    async def main(redis: Client) -> None:
        for _ in range(3):  # a busy machine may be late once
            delays = await asyncio.gather(*(one(redis, number) for number in range(8)))
            assert max(delays) > 0.02, delays
            if max(delays) < ex / 3 + 0.1:
                return
        raise AssertionError(delays)

    run(main, server)
    assert told(caplog) == []


async def by_overwriting(server: Server, lock: Redisson) -> None:
    held_by_another(server, lock.key)
    await aeventually(lambda: not lock.is_locked(), 2)


async def by_a_flush(server: Server, lock: Redisson) -> None:
    server.admin().flushall()
    await aeventually(lambda: not lock.is_locked(), 2)


async def by_time(server: Server, lock: Redisson) -> None:
    outlive(lock)


async def by_time_seen_by_the_loop(server: Server, lock: Redisson) -> None:
    outlive(lock)
    await turns(5)


async def by_an_extension(server: Server, lock: Redisson) -> None:
    held_by_another(server, lock.key)
    with pytest.raises(LockLostError):
        await lock.extend(5)


LOSSES = [by_overwriting, by_a_flush, by_time, by_time_seen_by_the_loop, by_an_extension]
Losing = Callable[[Server, Redisson], Awaitable[None]]


@pytest.mark.parametrize("losing", LOSSES)
def test_one_warning_for_each_loss_and_it_is_final(
    run: Run, any_server: Server, key: str, losing: Losing, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key, ex=EX, stall_limit=0) as lock:
            assert lock is not None
            token = lock.uuid()
            await losing(any_server, lock)
            # The server says again what it said before: nothing revives the lease.
            any_server.admin().set(on_server(key), token, px=60_000)
            for _ in range(40):
                assert not lock.is_locked() and lock.remaining() == 0.0
                with pytest.raises(LockLostError, match="the lease was lost"):
                    lock.ensure_held()
                await asyncio.sleep(0.01)
            with pytest.raises(LockLostError, match="the lease was lost"):
                await lock.extend(5)
            with pytest.raises(LockLostError, match="the lease was lost"):
                await lock.release()
        free(any_server, key)

    with caplog.at_level(logging.WARNING, "aioredlock_c"):
        run(main, any_server)
    assert told(caplog) == [f"lock '{key}': the lease was lost"]


@pytest.mark.parametrize("losing", LOSSES)
def test_release_after_a_loss_raises_and_the_object_is_free(
    run: Run, any_server: Server, key: str, losing: Losing
) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, ex=EX, stall_limit=0)
        assert await lock.acquire()
        await losing(any_server, lock)
        with pytest.raises(LockLostError, match=key):
            await lock.release()
        free(any_server, key)
        assert await lock.acquire()
        lock.ensure_held()
        await lock.release()
        with pytest.raises(LockNotOwnedError) as raised:
            await lock.release()
        assert not isinstance(raised.value, LockLostError)

    run(main, any_server)


def test_a_loss_first_seen_by_the_release(
    run: Run, any_server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By time, or by the server's "no": release() raises, and that is enough."""

    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, ex=EX, stall_limit=0)
        assert await lock.acquire()
        outlive(lock)
        with pytest.raises(LockLostError, match="the lease was lost"):
            await lock.release()
        assert await lock.acquire()
        held_by_another(any_server, key)
        with pytest.raises(LockLostError, match="lost before it was released"):
            await lock.release()
        with pytest.raises(LockLostError, match="lost before it was released"):
            lock.ensure_held()
        free(any_server, key)

    run(main, any_server)
    assert told(caplog) == []


@pytest.mark.parametrize("losing", ["by time", "by the server"])
def test_a_loss_first_seen_at_the_exit(
    run: Run, any_server: Server, key: str, losing: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key, ex=EX, stall_limit=0) as lock:
            assert lock is not None
            if losing == "by time":
                outlive(lock)
            else:
                held_by_another(any_server, key)
        free(any_server, key)

    run(main, any_server)
    how = ": the lease was lost" if losing == "by time" else " was lost before it was released"
    assert told(caplog) == [f"lock '{key}'{how}"]


def test_a_server_that_vanishes(
    run: Run, any_server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Lost when the lease ends, not before; a server that is back a moment later changes nothing."""

    async def main() -> None:
        with proxy_before(any_server) as proxy:
            async with via(proxy) as client, Redisson(client, key=key, ex=EX) as lock:
                assert lock is not None
                proxy.refuse()
                proxy.cut()
                begun = time.monotonic()
                left = lock.remaining()
                await aeventually(lambda: not lock.is_locked(), 2)
                assert left - 0.01 < time.monotonic() - begun < left + 0.1
                proxy.accept()
                await asyncio.sleep(EX)
                assert not lock.is_locked()

    run(main)
    assert told(caplog) == [f"lock '{key}': the lease was lost"]


def test_waiters_behind_a_lost_holder_go_on(run: Run, any_server: Server, key: str) -> None:
    """They do not wait for the body, whose exit then disturbs nobody."""

    async def main(redis: Client) -> None:
        entered: list[int] = []

        async def waiter(number: int) -> None:
            async with Redisson(redis, key=key, ex=EX, retry_count=None) as lock:
                assert lock is not None
                lock.ensure_held()
                entered.append(number)
                await asyncio.sleep(0.02)
                lock.ensure_held()

        async with Redisson(redis, key=key, ex=EX) as lost:
            assert lost is not None
            waiters = [asyncio.create_task(waiter(number)) for number in range(5)]
            await turns(3)
            free(any_server, key)
            await asyncio.wait_for(asyncio.gather(*waiters[:2]), 3)
            assert not lost.is_locked()
        await asyncio.wait_for(asyncio.gather(*waiters), 3)
        assert entered == list(range(5))
        assert value_of(any_server, key) is None

    run(main, any_server)


# ---- a process that was stopped ----

STOPPED = """
import asyncio, os, signal, sys
import redis.asyncio
from aioredlock_c import LockLostError, Redisson

def look(lock):
    try:
        lock.ensure_held()
    except LockLostError:
        return "held" if lock.is_locked() else "not held"
    return "held"

def say(what):
    os.write(1, f"{os.getpid()} {what}\\n".encode())  # one line, whole

async def main(port, key):
    client = redis.asyncio.Redis(port=port)
    woken = asyncio.Event()
    looks = []

    def wake(number, frame):
        looks.append(look(lock))
        woken.set()

    async with Redisson(client, key=f"{key}-{os.getpid()}", ex=1.0) as lock:
        signal.signal(signal.SIGCONT, wake)
        say(look(lock))
        while not woken.is_set():
            await asyncio.sleep(0.01)
        say(" ".join(looks))
    await client.aclose()

for _ in range(int(sys.argv[3])):
    if os.fork() == 0:
        signal.alarm(60)  # should nobody be left to wake it
        asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
        os._exit(0)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


def test_stopped_processes_wake_without_their_locks(any_server: Server, key: str) -> None:
    """SIGSTOP for 2 x ex, 50 processes at once: the first look after waking says not held, 50 of 50."""
    program = start(STOPPED, any_server.port, key, 50, flags=("-W", "error"))
    assert program.stdout is not None and program.stderr is not None
    lines = [program.stdout.readline() for _ in range(50)]
    pids = [int(line.split()[0]) for line in lines]
    assert lines == [f"{pid} held\n" for pid in pids]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(2.0)
    for pid in pids:
        held_by_another(any_server, f"{key}-{pid}")
        os.kill(pid, signal.SIGCONT)
    out, error = program.communicate(timeout=30)
    assert sorted(out.splitlines()) == sorted(f"{pid} not held" for pid in pids), error
    assert program.returncode == 0
    # One WARNING a process, from the handler of last resort.
    assert error.count("the lease was lost") == 50, error
    for pid in pids:
        assert value_of(any_server, f"{key}-{pid}") == "another"
        free(any_server, f"{key}-{pid}")
