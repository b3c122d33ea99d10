"""A lease is kept for as long as it is held; when it cannot be, that is known within one renewal."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_py
from conftest import Run
from support.clients import Client, client_of, connections, free, held_by_another, on_server, value_of
from support.monitor import Monitor
from support.programs import start
from support.servers import Server
from support.waiting import aeventually

from aioredlock_c import Redisson

EX = 0.3


async def check_held(server: Server, key: str, lock: Redisson, seconds: float) -> None:
    """For so long the key is there, with the token, never lasting longer than ex."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert lock.is_locked()
        assert 0 < lock.remaining() <= EX
        assert value_of(server, key) == lock.uuid()
        assert 0 < server.admin().pttl(on_server(key)) <= EX * 1000
        await asyncio.sleep(0.01)


def test_a_hold_of_several_times_ex_keeps_its_key_twice(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async def entered() -> None:
            lock = Redisson(redis, key=key, ex=EX)
            for _ in range(2):
                async with lock:
                    await check_held(server, key, lock, 3.5 * EX)
                assert value_of(server, key) is None

        async def acquired() -> None:
            lock = Redisson(redis, key=f"{key}-acquired", ex=EX)
            for _ in range(2):
                assert await lock.acquire()
                await check_held(server, lock.key, lock, 3.5 * EX)
                await lock.release()

        await asyncio.gather(entered(), acquired())

    run(main, server)


def test_renewals_come_at_a_third_of_ex(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key, ex=0.6):
            await asyncio.sleep(1.5)

    with Monitor(any_server) as monitor:
        run(main, any_server)
        renewals = monitor.of("PEXPIRE", on_server(key))
    assert 6 <= len(renewals) <= 10
    assert all(command.source == "lua" for command in renewals)


def test_nothing_is_renewed_after_the_release(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        for _ in range(20):
            async with Redisson(redis, key=key, ex=0.06):
                await asyncio.sleep(0.021)
        await asyncio.sleep(0.2)

    with Monitor(any_server) as monitor:
        run(main, any_server)
        commands = [c for c in monitor.commands() if c.source != "lua" and on_server(key) in c.words]
    released: set[str] = set()
    deletions = {c.words[1] for c in commands if _deletes(c.words)}
    assert len(deletions) <= 2  # the script's digest, and perhaps its text once
    for command in commands:
        token = next(word for word in command.words if len(word) == 36 and word.count("-") == 4)
        if command.words[1] in deletions:
            released.add(token)
        else:
            assert token not in released, command
    assert len(released) == 20


def _deletes(words: tuple[str, ...]) -> bool:
    """A script call with a key and one argument, the token: RELEASE; RENEW has the ttl too."""
    return words[0].upper() in ("EVAL", "EVALSHA") and len(words) == 5


Breaking = Callable[[redis_py.Redis, str], Any]
BREAKINGS: list[Breaking] = [
    lambda admin, name: admin.delete(name),
    lambda admin, name: admin.set(name, "another"),
    lambda admin, name: (admin.delete(name), admin.lpush(name, "another")),
    lambda admin, name: admin.pexpire(name, 1),
    lambda admin, name: admin.flushdb(),
    lambda admin, name: (admin.delete(name), admin.script_flush()),
]


def test_a_lock_that_is_taken_away_is_lost_within_a_renewal(
    run: Run, server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Deleted, overwritten, of another type, expired, flushed, scripts flushed too: each in its database."""
    ex = 0.9

    async def one(db: int, breaking: Breaking) -> None:
        name = f"{key}-{db}"
        admin = redis_py.Redis(host=server.host, port=server.port, db=db)
        async with client_of(server, db=db) as redis, Redisson(redis, key=name, ex=ex) as lock:
            assert lock is not None
            breaking(admin, on_server(name))
            broken = time.monotonic()
            await aeventually(lambda: not lock.is_locked(), 2)
            assert time.monotonic() - broken < ex / 3 + 0.15
            assert lock.remaining() == 0.0
            await aeventually(lambda: any(name in record.getMessage() for record in caplog.records), 1)
            kind = admin.type(on_server(name))
        # What others made of the key is none of our business.
        assert admin.type(on_server(name)) == kind
        admin.delete(on_server(name))
        admin.close()

    async def main() -> None:
        await asyncio.gather(*(one(db, breaking) for db, breaking in enumerate(BREAKINGS, 1)))

    with caplog.at_level(logging.WARNING, "aioredlock_c"):
        run(main)
    # Told when it is lost, and perhaps when the body is left.
    records = [record for record in caplog.records if record.name == "aioredlock_c"]
    assert {record.levelno for record in records} == {logging.WARNING}


def test_scripts_flushed_during_a_hold_do_no_harm(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, ex=EX)
        for _ in range(2):
            assert await lock.acquire()
            server.admin().script_flush()
            await check_held(server, key, lock, 1.5 * EX)
            server.admin().script_flush()
            await lock.release()
            assert value_of(server, key) is None

    run(main, server)


def test_an_extension_outlasts_renewals_and_then_ex_counts_again(
    run: Run, any_server: Server, key: str
) -> None:
    async def main(redis: Client) -> None:
        admin = any_server.admin()
        async with Redisson(redis, key=key, ex=EX) as lock:
            assert lock is not None
            await lock.extend(1.5)
            end = time.monotonic() + 1.4 - EX
            while time.monotonic() < end:
                left = end + EX + 0.1 - time.monotonic()  # of what was asked for
                assert admin.pttl(on_server(key)) > 1000 * (left - 0.1)
                assert lock.remaining() > left - 0.2
                await asyncio.sleep(0.02)
            await asyncio.sleep(2 * EX)
            await check_held(any_server, key, lock, EX)

    run(main, any_server)


def test_many_leases_are_kept_over_one_connection(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        before = connections(any_server)
        locks = [Redisson(redis, key=f"{key}-{number}", ex=1.0) for number in range(1000)]
        assert await asyncio.gather(*(lock.acquire() for lock in locks)) == [True] * 1000
        tasks = len(asyncio.all_tasks())
        await asyncio.sleep(2.5)
        assert all(lock.is_locked() for lock in locks)
        values = await redis.mget([on_server(lock.key) for lock in locks])
        assert values == [lock.uuid().encode() for lock in locks]
        assert connections(any_server) <= before + 2  # ours, and the client's own for MGET
        assert len(asyncio.all_tasks()) <= tasks
        await asyncio.gather(*(lock.release() for lock in locks))

    run(main, any_server)


def test_a_blocked_loop_that_nobody_watches_finds_its_lock_lost_and_that_is_final(
    run: Run, any_server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, ex=EX, stall_limit=0)
        async with lock:
            time.sleep(EX * 2)
            assert lock.is_locked() is False
            assert lock.remaining() == 0.0
            for _ in range(20):
                await asyncio.sleep(0.005)
                assert lock.is_locked() is False
        assert value_of(any_server, key) is None

    with caplog.at_level(logging.WARNING, "aioredlock_c"):
        run(main, any_server)
    assert any(key in record.getMessage() for record in caplog.records)


STOPPED = """
import asyncio, sys, time
import redis.asyncio
from aioredlock_c import Redisson

async def main(port, key):
    client = redis.asyncio.Redis(port=port)
    lock = Redisson(client, key=key, ex=1.0)
    async with lock:
        last = time.monotonic()
        print(lock.is_locked(), flush=True)
        while True:  # until the process was stopped for a while; the loop does not turn meanwhile
            now = time.monotonic()
            if now - last > 0.8:
                break
            last = now
            time.sleep(0.001)
        looks = [lock.is_locked()]
        for _ in range(50):
            await asyncio.sleep(0.005)
            looks.append(lock.is_locked())
        print(any(looks), flush=True)
    await client.aclose()

asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
"""


def test_a_stopped_process_wakes_without_its_lock(any_server: Server, key: str) -> None:
    program = start(STOPPED, any_server.port, key)
    assert program.stdout is not None
    assert program.stdout.readline() == "True\n"
    program.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    held_by_another(any_server, key)
    program.send_signal(signal.SIGCONT)
    out, error = program.communicate(timeout=20)
    assert out == "False\n", (out, error)
    assert program.returncode == 0
    assert value_of(any_server, key) == "another"
    free(any_server, key)
