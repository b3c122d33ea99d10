"""Servers that never stop talking: in the greeting, between commands, byte by byte. Memory stays flat."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest
import redis.exceptions
from conftest import Run
from support.proxied import SLACK
from support.scripted_server import GOOD, Asked, Drip, ScriptedServer
from support.waiting import aeventually
from test_server_errors import FLOOD, HOSTILE, check_text, client_to

from aioredlock_c import Redisson

GROWTH = 12 << 20  # bytes: far below what the floods say, above what an allocator keeps
ERRORS = (redis.exceptions.RedisError,)


@asynccontextmanager
async def flat_memory() -> AsyncIterator[None]:
    """Watches the process's memory, for the length of a block, as often as the loop turns."""
    process = psutil.Process(os.getpid())
    before = peak = process.memory_info().rss
    done = False

    async def watch() -> None:
        nonlocal peak
        while not done:
            peak = max(peak, process.memory_info().rss)
            await asyncio.sleep(0.002)

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        done = True
        await watcher
    assert peak - before < GROWTH, f"{(peak - before) >> 20} MiB more"


async def fails(server: ScriptedServer, key: str, limit: float) -> None:
    """An acquire fails, with the client's own error, within the client's own times."""
    client = client_to(server)
    begin = time.monotonic()
    with pytest.raises(ERRORS) as caught:
        await Redisson(client, key=key).acquire()
    assert time.monotonic() - begin < limit
    check_text(caught.value, key)
    await client.aclose()


async def works(server: ScriptedServer, key: str) -> None:
    client = client_to(server)
    async with Redisson(client, key=key) as lock:
        assert lock is not None
    await client.aclose()


# ---- a reply that never ends ----

DRIPS = {
    "a line": b"+" + b"x" * 700,
    "a line beyond its cap": b"+" + b"x" * 1100,
    "an error": b"-ERR " + b"x" * 700,
    "a bulk": b"$4000\r\n" + b"x" * 700,
    "a number": b":" + b"1" * 700,
    "an array": b"*60\r\n" + b":1234567\r\n" * 59,
    "nested": b"*1\r\n" * 200,
    "empty lines": b"\r\n" * 350,
}


@pytest.mark.parametrize("name", list(DRIPS))
def test_a_reply_that_comes_byte_by_byte_and_never_ends(run: Run, key: str, name: str) -> None:
    """Each byte in time, the reply never: it is the whole reply that has a deadline."""
    healthy = False

    def script(asked: Asked) -> object:
        if healthy or asked.verb != "TRY":
            return b":0\r\n" if asked.verb == "RENEW" and not healthy else GOOD[asked.verb]
        return [Drip(DRIPS[name])]

    async def main() -> None:
        nonlocal healthy
        healthy = False
        with ScriptedServer(script) as server:
            async with flat_memory():
                await fails(server, key, 0.6 + SLACK)
            healthy = True
            await works(server, key + "-2")

    run(main)


@pytest.mark.exact
@pytest.mark.parametrize(
    "name", [name for name in HOSTILE if "end" in name or "huge" in name or "deep" in name]
)
def test_memory_stays_flat_while_a_flood_comes(run: Run, key: str, name: str) -> None:
    def script(asked: Asked) -> object:
        if asked.verb == "TRY":
            return HOSTILE[name]
        return b":0\r\n" if asked.verb == "RENEW" else GOOD[asked.verb]

    async def main() -> None:
        with ScriptedServer(script) as server:
            async with flat_memory():
                for number in range(2):
                    await fails(server, f"{key}-{number}", 0.6 + SLACK)

    run(main)


# ---- a server that talks before it is asked ----

FIRST: dict[str, object] = {
    "replies": [b"+OK\r\n" * 1000 for _ in range(50)],
    "errors": [b"-ERR no\r\n" * 1000 for _ in range(50)],
    "garbage": [b"\x00\xff\x01\xfe" * 1000 for _ in range(50)],
    "a line without an end": [b"+" + b"x" * FLOOD for _ in range(4)],
    "a huge array": b"*1000000\r\n" + b":1\r\n" * 100_000,
    "http": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html></html>",
    "tls": b"\x15\x03\x01\x00\x02\x02\x0a",
}


@pytest.mark.exact
@pytest.mark.parametrize("name", list(FIRST))
def test_a_flood_instead_of_a_greeting(run: Run, key: str, name: str) -> None:
    """The client's library reads the greeting; no command of a lock is sent to such a server."""

    async def main() -> None:
        with ScriptedServer(lambda asked: GOOD[asked.verb], first=FIRST[name]) as server:
            await fails(server, key, 1.0 + SLACK)
            assert not server.of("TRY")

    run(main)


# ---- a server that talks all the time ----


@pytest.mark.parametrize(
    "talk",
    [b"+OK\r\n", b":1\r\n", b"$-1\r\n", b"-ERR you\r\n", b"\xff"],
    ids=["ok", "one", "nil", "error", "ff"],
)
def test_replies_that_nobody_asked_for_without_end(run: Run, key: str, talk: bytes) -> None:
    """A lease outlives it: each connection that talks out of turn is dropped, and the next one renews."""

    async def main() -> None:
        with ScriptedServer(lambda asked: GOOD[asked.verb]) as server:
            client = client_to(server)
            async with flat_memory(), Redisson(client, key=key, ex=1.5) as lock:
                for _ in range(4):
                    opened = server.opened
                    await aeventually(lambda: server.live == 1)
                    server.say(talk * 5000)
                    await aeventually(lambda: server.opened > opened)  # noqa: B023
                await aeventually(lambda: server.live == 1)
                renewals = len(server.of("RENEW"))
                await aeventually(lambda: len(server.of("RENEW")) > renewals)
                assert lock.is_locked()
            await client.aclose()

    run(main)


def test_many_clients_of_a_hostile_server_at_once(run: Run, key: str) -> None:
    """A hundred waiters of one key, ten of their own: each gets its error, and none dials in a circle."""

    def script(asked: Asked) -> object:
        return b":0\r\n" if asked.verb == "RENEW" else b"\x00garbage\r\n"

    async def main() -> None:
        with ScriptedServer(script) as server:
            client: Any = client_to(server)
            keys = [key] * 100 + [f"{key}-{number}" for number in range(10)]
            begin = time.monotonic()
            async with flat_memory():
                results = await asyncio.gather(
                    *(Redisson(client, key=name).acquire() for name in keys), return_exceptions=True
                )
            assert time.monotonic() - begin < 0.6 + SLACK
            for name, result in zip(keys, results, strict=True):
                assert isinstance(result, redis.exceptions.RedisError)
                check_text(result, name)
            assert server.opened <= 10
            await client.aclose()

    run(main)
