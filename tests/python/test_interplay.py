"""On the wire: aioredlock-py's key, value and commands, so that both kinds of processes exclude another."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from conftest import Run
from support.clients import Client, free, held_by_another, on_server, value_of
from support.monitor import Monitor
from support.old_client import OldLock
from support.programs import start
from support.servers import Server

from aioredlock_c import Redisson


def test_the_commands_of_a_hold(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> str:
        lock = Redisson(redis, key=key, ex=7)
        async with lock:
            assert value_of(server, key) == lock.uuid()
            assert server.admin().type(on_server(key)) == "string"
            assert 6900 < server.admin().pttl(on_server(key)) <= 7000
        return lock.uuid()

    with Monitor(server) as monitor:
        token = run(main, server)
        (taken,) = monitor.of("SET", on_server(key))
        (deleted,) = monitor.of("DEL", on_server(key))
        calls = [c for c in monitor.commands() if c.name in ("EVAL", "EVALSHA") and on_server(key) in c.words]
    assert taken.words[1:3] == (on_server(key), token)
    assert sorted(word.upper() for word in taken.words[3:]) == ["7000", "NX", "PX"]
    assert uuid.UUID(token).version == 4 and token == str(uuid.UUID(token))
    assert deleted.source == "lua" and deleted.words[1:] == (on_server(key),)
    assert all(call.words[2:] == ("1", on_server(key), token) for call in calls)


@pytest.mark.parametrize(("ex", "px"), [(10, 10_000), (0.25, 250), (1.5, 1500), (0.05, 50), (1e9, 10**12)])
def test_ex_becomes_milliseconds(run: Run, any_server: Server, key: str, ex: float, px: int) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, ex=ex)
        assert await lock.acquire()
        await lock.release()

    with Monitor(any_server) as monitor:
        run(main, any_server)
        (taken,) = monitor.of("SET", on_server(key))
    assert str(px) in taken.words


@pytest.mark.parametrize(
    "tail", ["", " with blanks", "\r\n", "\0", "{tag}", "\U0001f512\u00e9", '"quoted"', "*$:+-"], ids=repr
)
def test_any_text_is_a_key(run: Run, any_server: Server, key: str, tail: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key + tail)
        async with lock:
            assert value_of(any_server, key + tail) == lock.uuid()
        assert value_of(any_server, key + tail) is None

    run(main, any_server)


@pytest.mark.parametrize("number", [0, 7, -12, 10**40, uuid.UUID(int=7)], ids=str)
def test_numbers_and_uuids_are_keys(run: Run, any_server: Server, number: Any) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=number)
        async with lock:
            assert value_of(any_server, format(number)) == lock.uuid()
        assert value_of(any_server, format(number)) is None

    run(main, any_server)


def test_compare_and_delete(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key):
            held_by_another(server, key)
        assert value_of(server, key) == "another"
        free(server, key)

    run(main, server)


def test_the_old_client_and_ours_exclude_each_other(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async with OldLock(redis, key) as old:
            assert old is not None and value_of(any_server, key) == old.uuid()
            async with Redisson(redis, key=key, retry_count=3) as ours:
                assert ours is None
            assert value_of(any_server, key) == old.uuid()
        async with Redisson(redis, key=key) as ours:
            assert ours is not None
            assert not await redis.set(on_server(key), "old", nx=True, ex=20)
            waiting = asyncio.create_task(OldLock(redis, key).__aenter__())
            await asyncio.sleep(0.1)
            assert not waiting.done() and value_of(any_server, key) == ours.uuid()
        old = await waiting
        assert old is not None
        await old.__aexit__(None, None, None)

    run(main, any_server)


COUNTING = """
import asyncio, sys
import redis.asyncio
from support.clients import close_client

async def main(kind, port, key, tasks, goal):
    if kind == "old":
        from support.old_client import old_lock_and_client
        lock_class, client = old_lock_and_client(port)
    else:
        from aioredlock_c import Redisson as lock_class
        client = redis.asyncio.Redis(port=port)

    async def one():
        done = 0
        while done < goal:
            async with lock_class(client, key) as lock:
                if not lock:
                    continue
                seen = int(await client.get(f"{key}-count") or 0)
                await asyncio.sleep(0.001)
                await client.set(f"{key}-count", seen + 1)
                done += 1

    print("ready", flush=True)
    sys.stdin.readline()
    await asyncio.gather(*(one() for _ in range(tasks)))
    await close_client(client)

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
"""


def test_four_processes_two_old_two_ours_count_exactly(server: Server, key: str) -> None:
    shares = [("old", 1, 15), ("old", 1, 15), ("ours", 1, 60), ("ours", 5, 30)]
    flags = ("-X", "dev")  # aioredis warns of itself
    programs = [
        start(COUNTING, kind, server.port, key, tasks, goal, flags=flags) for kind, tasks, goal in shares
    ]
    for program in programs:
        assert program.stdout is not None and program.stdin is not None
        assert program.stdout.readline() == "ready\n", program.communicate()
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    for program in programs:
        _, error = program.communicate(timeout=90)
        assert program.returncode == 0, error
    total = server.admin().get(f"{key}-count")
    server.admin().delete(f"{key}-count")
    assert total == str(sum(tasks * goal for _, tasks, goal in shares))
