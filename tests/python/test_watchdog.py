"""A loop that stands still keeps its locks: the watchdog renews them from outside, for a while."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import redis.asyncio
from conftest import Run
from support.clients import Client, close_client, connections, free, make_client, on_server, value_of
from support.programs import run_clean, run_program
from support.proxied import proxy_before, via
from support.servers import Server
from support.waiting import aeventually, eventually

from aioredlock_c import Redisson, connect

EX = 0.5
STALL = 4 * EX


def stalls(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of loops that stood still."""
    return [text for text in (r.getMessage() for r in caplog.records) if "stood still" in text]


def sleep_with_the_gil(seconds: float) -> None:
    """Computes in C, as it were: no Python thread runs meanwhile."""
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))


@pytest.mark.parametrize("block", [time.sleep, sleep_with_the_gil], ids=["sleep", "gil"])
def test_a_body_that_blocks_the_loop_keeps_its_lock(
    run: Run, server: Server, key: str, block: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key, ex=EX) as lock:
            assert lock is not None
            block(STALL)
            assert lock.is_locked()
            assert 0 < lock.remaining() <= EX
            assert value_of(server, key) == lock.uuid()
            await asyncio.sleep(EX)
            assert lock.is_locked()

    caplog.set_level(logging.WARNING, "aioredlock_c")
    run(main, server)
    assert [r.getMessage() for r in caplog.records if "lost" in r.getMessage()] == []
    assert len(stalls(caplog)) == 1, caplog.messages
    assert float(stalls(caplog)[0].split("still for ")[1].split(" s")[0]) == pytest.approx(STALL, abs=0.5)


async def _remaining(lock: Redisson) -> None:
    assert 0 < lock.remaining() <= EX


async def _looks(lock: Redisson) -> None:
    assert lock.is_locked()


async def _ensures(lock: Redisson) -> None:
    lock.ensure_held()


async def _extends(lock: Redisson) -> None:
    await lock.extend(2 * EX)
    assert lock.remaining() > EX


async def _releases(lock: Redisson) -> None:
    await lock.release()


async def _fails(lock: Redisson) -> None:
    raise ZeroDivisionError


async def _leaves(lock: Redisson) -> None:
    pass


@pytest.mark.parametrize("first", [_remaining, _looks, _ensures, _extends, _releases, _leaves, _fails])
def test_whatever_is_asked_first_after_a_stall_finds_the_lock_held(
    run: Run, any_server: Server, key: str, first: Callable[[Redisson], Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, ex=EX)
        assert await lock.acquire()
        time.sleep(STALL)
        with suppress(ZeroDivisionError):
            await first(lock)
        if first is not _releases:
            assert lock.is_locked()
            await lock.release()
        async with Redisson(redis, key=key, ex=EX) as entered:
            assert entered is not None
            time.sleep(STALL)
            with suppress(ZeroDivisionError):
                if first is not _releases:
                    await first(entered)

    run(main, any_server)
    assert not [r for r in caplog.records if "lost" in r.getMessage()]


def acl_user(server: Server) -> dict[str, Any]:
    """A user with few rights, as a client's arguments; the password has what quoting would break."""
    password = "p\r\n$ä'\" x"
    rights = "set get del pexpire pttl eval evalsha select hello client auth".split()
    server.admin().acl_setuser(
        "keeper",
        enabled=True,
        reset=True,
        passwords=[f"+{password}"],
        commands=[f"+{name}" for name in rights],
        keys=["redisson:*"],
    )
    return {"username": "keeper", "password": password}


def over_tcp(server: Server) -> Client:
    return make_client(server, db=0)


def over_unix(server: Server) -> Client:
    return redis.asyncio.Redis(unix_socket_path=server.unix_path)


def with_a_database_and_a_user(server: Server) -> Client:
    return make_client(server, db=3, **acl_user(server))


def with_a_number_for_a_password(server: Server) -> Client:
    server.admin().acl_setuser(
        "number", enabled=True, reset=True, passwords=["+1234"], commands=["+@all"], keys=["*"]
    )
    return make_client(server, username="number", password=1234)


@pytest.mark.parametrize(
    "client", [over_tcp, over_unix, with_a_database_and_a_user, with_a_number_for_a_password]
)
def test_a_hundred_locks_are_kept_and_the_extra_connection_closes(
    run: Run, any_server: Server, key: str, client: Callable[[Server], Client]
) -> None:
    async def main() -> None:
        redis = client(any_server)
        locks = [Redisson(redis, key=f"{key}-{number}", ex=1) for number in range(100)]
        assert all(await asyncio.gather(*(lock.acquire() for lock in locks)))
        before = connections(any_server)
        time.sleep(4)
        assert all(lock.is_locked() for lock in locks)
        assert connections(any_server) == before + 1
        await aeventually(lambda: connections(any_server) == before)
        assert all(lock.is_locked() for lock in locks)
        await asyncio.gather(*(lock.release() for lock in locks))
        await close_client(redis)

    run(main)


def relay(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def relay_two(listener: socket.socket, server: Server) -> None:
    for _ in ("the loop", "the watchdog"):
        near, far = listener.accept()[0], socket.create_connection((server.host, server.port))
        for pair in ((near, far), (far, near)):
            threading.Thread(target=relay, args=pair, daemon=True).start()


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_a_unix_socket_with_an_abstract_name(any_server: Server, key: str) -> None:
    name = f"\0{key}"

    async def main() -> None:
        redis_ = redis.asyncio.Redis(unix_socket_path=name)
        async with Redisson(redis_, key=key, ex=EX) as lock:
            assert lock is not None
            time.sleep(STALL)
            assert lock.is_locked()
        await close_client(redis_)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        threading.Thread(target=relay_two, args=(listener, any_server), daemon=True).start()
        asyncio.run(main())  # uvloop knows no such names


def test_a_user_without_a_password_logs_in_with_an_empty_one(any_server: Server) -> None:
    login = connect.describe(make_client(any_server, db=2, username="open")).watchdog_login()
    assert login == (None, 2, b"open", b"")
    assert connect.describe(make_client(any_server)).watchdog_login() == (None, 0, None, None)


def test_stall_limit_0_turns_it_off(
    run: Run, any_server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, ex=EX, stall_limit=0)
        assert await lock.acquire()
        before = connections(any_server)
        time.sleep(STALL)
        assert connections(any_server) == before
        assert not lock.is_locked()
        assert value_of(any_server, key) is None

    run(main, any_server)
    assert stalls(caplog) == []


def test_after_the_stall_limit_the_key_goes(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, ex=EX, stall_limit=1.5)
        forever = Redisson(redis, key=f"{key}-2", ex=EX, stall_limit=float("inf"))
        assert await lock.acquire()
        assert await forever.acquire()
        began = time.monotonic()
        time.sleep(1.4)
        assert value_of(any_server, key) == lock.uuid()
        eventually(lambda: value_of(any_server, key) is None)
        assert 1.5 - EX / 3 < time.monotonic() - began < 1.5 + EX + 0.3
        assert not lock.is_locked()
        assert forever.is_locked()
        await forever.release()

    run(main, any_server)


def test_a_loop_that_is_not_run_stands_still(any_server: Server, key: str) -> None:
    loop = asyncio.new_event_loop()
    client = make_client(any_server)
    try:
        lock = Redisson(client, key=key, ex=EX)
        assert loop.run_until_complete(lock.acquire())
        time.sleep(STALL)
        assert lock.is_locked()
        assert value_of(any_server, key) == lock.uuid()
        loop.run_until_complete(lock.release())
    finally:
        loop.run_until_complete(close_client(client))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def test_a_server_that_is_silent_under_a_living_loop_is_not_the_programs_fault(
    run: Run, any_server: Server, key: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    dials = 0
    dial = connect.open_connection

    async def counted(*arguments: Any) -> connect.Opened:
        nonlocal dials
        dials += 1
        return await dial(*arguments)

    async def main() -> None:
        with proxy_before(any_server) as proxy:
            async with via(proxy) as redis:
                lock = Redisson(redis, key=key, ex=1)
                assert await lock.acquire()
                proxy.swallow = True
                await aeventually(lambda: not lock.is_locked())
                await asyncio.sleep(0.5)
                assert proxy.opened == dials > 1  # each connection is one that the loop itself dialled

    monkeypatch.setattr(connect, "open_connection", counted)
    run(main)
    assert stalls(caplog) == []


def test_a_key_deleted_during_a_stall_is_lost_when_the_loop_turns(
    run: Run, any_server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, ex=EX)
        assert await lock.acquire()
        time.sleep(2 * EX)
        free(any_server, key)
        time.sleep(2 * EX)
        assert value_of(any_server, key) is None
        assert not lock.is_locked()
        await asyncio.sleep(0)
        assert value_of(any_server, key) is None

    run(main, any_server)
    assert [r.getMessage() for r in caplog.records if "lost" in r.getMessage()] != []


class Subclassed(redis.asyncio.connection.Connection):
    """A user's own way to connect: the watchdog cannot know what it does."""


def of_a_subclass(server: Server) -> Client:
    pool = redis.asyncio.ConnectionPool(connection_class=Subclassed, host=server.host, port=server.port)
    return redis.asyncio.Redis(connection_pool=pool)


def with_a_provider(server: Server) -> Client:
    class Provider(redis.credentials.CredentialProvider):
        def get_credentials(self) -> tuple[str, str]:
            return "keeper", password

    password = acl_user(server)["password"]
    return make_client(server, credential_provider=Provider())


@pytest.mark.parametrize("client", [of_a_subclass, with_a_provider])
def test_what_the_watchdog_cannot_connect_to_the_loop_alone_keeps(
    run: Run, any_server: Server, key: str, client: Callable[[Server], Client]
) -> None:
    async def main() -> None:
        redis = client(any_server)
        lock = Redisson(redis, key=key, ex=EX)
        assert await lock.acquire()
        before = connections(any_server)
        await asyncio.sleep(2 * EX)
        assert lock.is_locked()
        time.sleep(STALL)
        assert connections(any_server) == before
        assert not lock.is_locked()
        await close_client(redis)

    run(main)


def test_two_loops_in_two_threads_one_stands_still(any_server: Server, key: str) -> None:
    results: dict[str, bool] = {}

    def thread(name: str, block: bool) -> None:
        async def main() -> None:
            client = make_client(any_server)
            async with Redisson(client, key=f"{key}-{name}", ex=EX) as lock:
                assert lock is not None
                if block:
                    time.sleep(STALL)
                else:
                    await asyncio.sleep(STALL)
                results[name] = lock.is_locked()
            await close_client(client)

        asyncio.run(main())

    threads = [threading.Thread(target=thread, args=(str(block), block)) for block in (True, False)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert results == {"True": True, "False": True}


def test_a_cut_before_the_stall_does_not_cost_the_lock(run: Run, any_server: Server, key: str) -> None:
    async def main() -> None:
        with proxy_before(any_server) as proxy:
            async with via(proxy) as redis:
                lock = Redisson(redis, key=key, ex=1)
                assert await lock.acquire()
                proxy.cut()
                time.sleep(3)
                assert lock.is_locked()
                await lock.release()

    run(main)


FORKS = """
import asyncio, os, sys, time
import redis.asyncio
from aioredlock_c import Redisson

async def main(port, key, forks):
    client = redis.asyncio.Redis(port=port)
    async with Redisson(client, key=key, ex=1) as lock:
        for number in range(forks):
            pid = os.fork()
            if pid == 0:
                os._exit(lock.is_locked() or lock.remaining() > 0)
            assert os.waitpid(pid, 0)[1] == 0
            if number % 10 == 0:
                await asyncio.sleep(0)
        time.sleep(4)
        assert lock.is_locked()
    await client.aclose()

asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.portable
def test_a_body_that_forks_and_then_blocks_keeps_its_lock(any_server: Server, key: str) -> None:
    assert run_clean(FORKS, any_server.port, key, 500, flags=("-W", "error")) == ""


FORKS_OF_THREADS = """
import asyncio, os, sys, threading, time
import redis.asyncio
from aioredlock_c import Redisson

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

async def main(port, key, forks):
    client = redis.asyncio.Redis(port=port)
    async with Redisson(client, key=key, ex=0.5) as lock:
        forks()
        time.sleep(2)
        print("held" if lock.is_locked() else "lost")
    await client.aclose()

def body_in_a_thread(port, key):
    thread = threading.Thread(target=lambda: asyncio.run(main(port, key, fork)))
    thread.start()
    thread.join()  # the main thread runs no code of Python's meanwhile

def fork_in_a_thread(port, key):
    asyncio.run(main(port, key, threading.Timer(0.1, fork).start))

globals()[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("where", ["body_in_a_thread", "fork_in_a_thread"])
def test_a_fork_of_another_thread_than_the_main_one_keeps_the_lock(
    any_server: Server, key: str, where: str
) -> None:
    # Without -W error: CPython warns of any fork while threads run.
    done = run_program(FORKS_OF_THREADS, where, any_server.port, key, flags=("-X", "dev"))
    assert (done.returncode, done.stdout) == (0, "held\n"), done.stderr


RAW_FORK = """
import asyncio, ctypes, os, sys, time
import redis.asyncio
from aioredlock_c import Redisson

fork = ctypes.PyDLL(None).fork  # none of Python's hooks run

async def child(port, key):
    client = redis.asyncio.Redis(port=port)
    async with Redisson(client, key=key + "-child", ex=1) as lock:
        time.sleep(3)
        assert lock.is_locked()
    await client.aclose()

async def main(port, key):
    client = redis.asyncio.Redis(port=port)
    lock = Redisson(client, key=key, ex=1)
    assert await lock.acquire()
    time.sleep(2)  # its watchdog is at work
    pid = fork()
    if pid == 0:
        assert not lock.is_locked() and lock.remaining() == 0.0
        asyncio._set_running_loop(None)
        asyncio.new_event_loop().run_until_complete(child(port, key))
        os._exit(0)
    time.sleep(2)
    assert lock.is_locked()
    assert os.waitpid(pid, 0)[1] == 0
    await asyncio.sleep(0.5)
    assert lock.is_locked()
    await lock.release()
    await client.aclose()

asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_past_pythons_hooks_is_noticed(any_server: Server, key: str) -> None:
    done = run_program(RAW_FORK, any_server.port, key, flags=())
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "Error" not in done.stderr
    assert any_server.admin().get(on_server(f"{key}-child")) is None


ENDS = """
import asyncio, os, sys, time
import redis.asyncio
from aioredlock_c import Redisson

async def main(port, key, how):
    client = redis.asyncio.Redis(port=port)
    lock = Redisson(client, key=key, ex=0.3)
    assert await lock.acquire()
    time.sleep(float(sys.argv[4]))
    if how == "release":
        await lock.release()
        await client.aclose()
    elif how == "exit":
        sys.exit(0)
    elif how == "_exit":
        os._exit(0)

asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
"""


@pytest.mark.parametrize("seconds", [0.0, 0.19, 0.21, 0.5, 0.9])
@pytest.mark.parametrize("how", ["release", "exit", "_exit"])
def test_a_program_ends_whatever_the_watchdog_does(
    any_server: Server, key: str, how: str, seconds: float
) -> None:
    done = run_program(ENDS, any_server.port, f"{key}", how, seconds, flags=("-W", "error"), timeout=20)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "stood still" not in line]
    assert said == [] or how == "exit"
