"""Servers that refuse, err, lie or babble: the library's own exception, with the key and no secret."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis.asyncio
import redis.exceptions
from conftest import Run
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from support.clients import client_of, close_client, on_server, value_of
from support.programs import run_clean
from support.proxied import SLACK
from support.scripted_server import CLOSE, GOOD, RESET, Asked, Drip, Pause, ScriptedServer
from support.servers import Server, free_port, running_server
from support.waiting import aeventually
from test_clients import LIBRARIES, PASSWORD, client_class, each_library, errors_of, tcp

from aioredlock_c import LockNotOwnedError, Redisson

ONCE = Retry(NoBackoff(), 0)


def client_to(server: ScriptedServer, **options: Any) -> Any:
    options = {"socket_timeout": 0.4, "retry": ONCE, "password": PASSWORD, **options}
    return redis.asyncio.Redis(host=server.host, port=server.port, **options)


def check_text(error: BaseException, key: str) -> None:
    shown = f"{error!s} {error!r} {error.args!r}"
    assert key in str(error)
    assert PASSWORD not in shown


# ---- no connection ----


def few_retries(library: str) -> dict[str, Any]:
    """Options of a client with one retry at once: the newest library has ten, with growing pauses."""
    if library == "aioredis":
        return {}
    retry = importlib.import_module(f"{library}.asyncio.retry").Retry
    return {"retry": retry(importlib.import_module(f"{library}.backoff").NoBackoff(), 1)}


def _no_connection(library: str, server: Server) -> dict[str, tuple[Any, tuple[str, ...]]]:
    quick = few_retries(library)

    def make(**options: Any) -> Any:
        return client_class(library)(**options, **quick)

    auth = ("AuthenticationError", "ResponseError") if library == "aioredis" else ("AuthenticationError",)
    wrong = {"username": "nobody", "password": PASSWORD}
    return {
        "nothing listens": (make(host=server.host, port=free_port()), ("ConnectionError",)),
        "no socket file": (make(unix_socket_path=f"{server.unix_path}-not"), ("ConnectionError",)),
        "wrong password": (tcp(library, server, **wrong), auth),
        "wrong password, unix": (make(unix_socket_path=server.unix_path, **wrong), ("ConnectionError",)),
        "wrong database": (tcp(library, server, db=9999, password=None), ("ResponseError",)),
        "unknown name": (make(host="no-such-host.invalid", port=6379), ("ConnectionError",)),
    }


NOWHERE = Server("", "127.0.0.1", 1, Path("/nowhere"), None)  # type: ignore[arg-type]
CASES = list(_no_connection(next(iter(LIBRARIES)), NOWHERE))


@pytest.mark.portable
@each_library
@pytest.mark.parametrize("case", CASES)
def test_no_connection(run: Run, any_server: Server, key: str, library: str, case: str) -> None:
    async def main() -> None:
        client, names = _no_connection(library, any_server)[case]
        errors = errors_of(library)
        classes = tuple(getattr(errors, name) for name in names)
        for call in ("acquire", "locked"):
            begin = time.monotonic()
            with pytest.raises(classes) as caught:
                await getattr(Redisson(client, key=key), call)()
            check_text(caught.value, key)
            assert type(caught.value).__module__ == errors.__name__
            assert time.monotonic() - begin < 1.5
        with pytest.raises(classes):
            async with Redisson(client, key=key):
                pytest.fail("entered")
        await close_client(client)

    run(main)


FAILING = """
import asyncio, sys
from pathlib import Path
from aioredlock_c import Redisson
from support.clients import close_client
from support.servers import Server
from test_server_errors import _no_connection

host, port, directory, library, kind = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:]

async def main():
    asyncio.get_running_loop().slow_callback_duration = 10
    cases = _no_connection(library, Server("", host, port, directory, None))
    for name, (client, _) in cases.items():
        try:
            await asyncio.wait_for(Redisson(client, key="k").acquire(), 2)
        except Exception:
            print(name)
        await close_client(client)

if kind == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


@pytest.mark.portable
@each_library
def test_no_connection_leaves_nothing_open(any_server: Server, library: str, loop_kind: str) -> None:
    arguments = (any_server.host, any_server.port, any_server.directory, library, loop_kind)
    assert run_clean(FAILING, *arguments).split("\n")[:-1] == CASES


def test_an_error_of_the_credential_provider_reaches_the_caller(
    run: Run, any_server: Server, key: str
) -> None:
    class Vault(redis.CredentialProvider):
        def get_credentials(self) -> tuple[str, str]:
            raise PermissionError("the vault is closed")

        async def get_credentials_async(self) -> tuple[str, str]:
            raise PermissionError("the vault is closed")

    async def main() -> None:
        client = redis.asyncio.Redis(
            host=any_server.host, port=any_server.port, credential_provider=Vault(), retry=ONCE
        )
        with pytest.raises(Exception, match="the vault is closed"):
            await Redisson(client, key=key).acquire()
        await close_client(client)

    run(main)


# ---- real servers that refuse ----


def test_out_of_memory_refuses_only_what_acquires(run: Run, server: Server, key: str) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            held = Redisson(client, key=f"{key}-held")
            assert await held.acquire()
            server.admin().config_set("maxmemory", 1)
            try:
                expected = getattr(redis.exceptions, "OutOfMemoryError", redis.exceptions.ResponseError)
                with pytest.raises(expected) as caught:
                    await Redisson(client, key=key).acquire()
                check_text(caught.value, key)
                await held.extend(20)
                await held.release()
            finally:
                server.admin().config_set("maxmemory", 0)

    run(main)


def test_a_replica_is_read_only(run: Run, any_server: Server, other_server: Server, key: str) -> None:
    async def main() -> None:
        async with client_of(any_server) as client:
            held = Redisson(client, key=f"{key}-held")
            assert await held.acquire()
            any_server.admin().replicaof(other_server.host, other_server.port)
            try:
                with pytest.raises(redis.exceptions.ReadOnlyError) as caught:
                    await Redisson(client, key=key).acquire()
                check_text(caught.value, key)
            finally:
                any_server.admin().replicaof("NO", "ONE")
            if held.is_locked():  # the replica may have been emptied meanwhile
                await held.release()

    run(main)


@pytest.mark.parametrize(("right", "call"), [("set", "acquire"), ("eval", "release"), ("pttl", "locked")])
def test_a_right_that_is_missing(run: Run, server: Server, key: str, right: str, call: str) -> None:
    rights = [
        f"+{name}" for name in "set get del pexpire pttl eval evalsha".split() if not name.startswith(right)
    ]
    admin = server.admin()
    admin.acl_setuser("ann", enabled=True, passwords=[f"+{PASSWORD}"], keys=["redisson:*"], commands=rights)

    async def main() -> None:
        async with client_of(server, username="ann", password=PASSWORD) as client:
            lock = Redisson(client, key=key, ex=1)
            if call == "release":
                assert await lock.acquire()
            with pytest.raises(redis.exceptions.NoPermissionError) as caught:
                await getattr(lock, call)()
            check_text(caught.value, key)

    try:
        run(main)
        admin.delete(on_server(key))
    finally:
        admin.acl_deluser("ann")


def test_too_many_clients(run: Run, any_server: Server, key: str) -> None:
    with running_server(any_server.kind) as server:
        server.admin().config_set("maxclients", 1)

        async def main() -> None:
            async with client_of(server, retry=ONCE) as client:
                # Where the server closes before the library has written, the library tells only that.
                told = "max number of clients|Connection lost"
                with pytest.raises(redis.exceptions.ConnectionError, match=told) as caught:
                    await Redisson(client, key=key).acquire()
                check_text(caught.value, key)
                server.admin().config_set("maxclients", 100)
                async with Redisson(client, key=key) as lock:
                    assert lock.is_locked()
            server.admin().config_set("maxclients", 1)

        run(main)


def test_scripts_that_vanish(run: Run, server: Server, key: str) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            for _ in range(2):
                lock = Redisson(client, key=key)
                assert await lock.acquire()
                server.admin().script_flush()
                await lock.extend(30)
                assert server.admin().pttl(on_server(key)) > 25_000
                server.admin().script_flush()
                await lock.release()
                assert value_of(server, key) is None

    run(main)


# ---- scripted replies: errors ----

ERRORS = {
    "WRONGTYPE Operation against a key holding the wrong kind of value": "ResponseError",
    "READONLY You can't write against a read only replica.": "ReadOnlyError",
    "OOM command not allowed when used memory > 'maxmemory'.": "OutOfMemoryError",
    "NOPERM this user has no permissions to run the 'set' command": "NoPermissionError",
    "LOADING Redis is loading the dataset in memory": "BusyLoadingError",
    "MOVED 3999 127.0.0.1:6381": "MovedError",
    "ASK 3999 127.0.0.1:6381": "AskError",
    "CLUSTERDOWN The cluster is down": "ClusterDownError",
    "NOAUTH Authentication required.": "AuthenticationError",
    "BUSY Redis is busy running a script": "ResponseError",
    "ERR max number of clients reached": "ConnectionError",
    "ERR unknown command 'SET'": "ResponseError",
    "SURPRISE nobody has heard of": "ResponseError",
    "MOVED": "ResponseError",
    "": "ResponseError",
}
CALLS = {"acquire": "TRY", "release": "RELEASE", "extend": "RENEW", "locked": "PEEK"}


@pytest.mark.parametrize("text", list(ERRORS))
@pytest.mark.parametrize("call", list(CALLS))
def test_an_error_reply(run: Run, key: str, call: str, text: str) -> None:
    erring = True

    def script(asked: Asked) -> bytes:
        return f"-{text}\r\n".encode() if erring and asked.verb == CALLS[call] else GOOD[asked.verb]

    async def main() -> None:
        nonlocal erring
        erring = True
        expected = getattr(redis.exceptions, ERRORS[text], redis.exceptions.ResponseError)
        if text.startswith("WRONGTYPE") and call in ("release", "extend"):
            expected = LockNotOwnedError  # another type in its place is certainly not our token
        with ScriptedServer(script) as server:
            client = client_to(server)
            lock = Redisson(client, key=key, ex=30)
            if call in ("release", "extend"):
                assert await lock.acquire()
            with pytest.raises(expected) as caught:
                await (lock.extend(40) if call == "extend" else getattr(lock, call)())
            check_text(caught.value, key)
            erring = False
            again = Redisson(client, key=f"{key}-2")  # the connection, or the next one, goes on
            assert await again.acquire() is True
            await again.release()
            if lock.is_locked():
                await lock.release()
            await close_client(client)

    run(main)


def test_an_error_ends_every_waiter_of_the_key_and_no_other(run: Run, key: str) -> None:
    def script(asked: Asked) -> object:
        if asked.verb == "TRY" and asked.words[1].endswith(b"-bad"):
            return [Pause(0.05), b"-OOM command not allowed\r\n"]
        return GOOD[asked.verb]

    async def main() -> None:
        with ScriptedServer(script) as server:
            client = client_to(server)
            bad = [Redisson(client, key=f"{key}-bad", retry_count=None).acquire() for _ in range(10)]
            good = Redisson(client, key=f"{key}-good")
            results = await asyncio.gather(*bad, good.acquire(), return_exceptions=True)
            assert results.pop() is True
            assert all(isinstance(error, redis.exceptions.ResponseError) for error in results)
            assert (
                len({id(error) for error in results}) == 10
            )  # each its own: a traceback belongs to one task
            await good.release()
            await close_client(client)

    run(main)


def test_an_error_during_a_hold_is_outlived(run: Run, key: str, caplog: pytest.LogCaptureFixture) -> None:
    """A renewal that is refused is tried again until the lease's end."""
    left = 3

    def script(asked: Asked) -> bytes:
        nonlocal left
        if asked.verb == "RENEW" and left:
            left -= 1
            return b"-LOADING Redis is loading the dataset in memory\r\n"
        return GOOD[asked.verb]

    async def main() -> None:
        nonlocal left
        left = 3
        with ScriptedServer(script) as server:
            client = client_to(server)
            async with Redisson(client, key=key, ex=1.5) as lock:
                await aeventually(lambda: len(server.of("RENEW")) >= 5, 4)
                assert lock.is_locked()
            await close_client(client)

    run(main)
    assert "lost" not in caplog.text


# ---- scripted replies: hostility ----

FLOOD = 1 << 20
HOSTILE: dict[str, object] = {
    "garbage": b"\x00\xffHTTP/1.1 400 Bad Request\r\n\r\n",
    "a line without an end": [b"+" + b"x" * FLOOD for _ in range(16)],
    "an error without an end": [b"-ERR " + b"x" * FLOOD for _ in range(16)],
    "a huge bulk": [b"$1073741824\r\n"] + [b"x" * FLOOD for _ in range(16)],
    "a huge array": b"*1000000\r\n" + b":1\r\n" * 100_000,
    "deep arrays": b"*1\r\n" * 1000,
    "a negative length": b"$-5\r\n",
    "a length that overflows": b"$99999999999999999999999\r\n",
    "a reply of another kind": b"*2\r\n:1\r\n:2\r\n",
    "a push": b">2\r\n$7\r\nmessage\r\n$1\r\nx\r\n",
    "half a reply and close": [b"+O", CLOSE],
    "half a reply and reset": [b"+O", RESET],
    "close": CLOSE,
    "reset": RESET,
    "silence": None,
    "half a reply and silence": b"+O",
}


FAILURES = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, redis.exceptions.ResponseError)


def hostile(name: str, always: bool) -> ScriptedServer:
    """Answers the first TRY, or each, so; to RENEW, which asks about a TRY in doubt, that nothing was set."""
    bad = 0

    def script(asked: Asked) -> object:
        nonlocal bad
        if asked.verb == "TRY" and (always or not bad):
            bad += 1
            return HOSTILE[name]
        return b":0\r\n" if asked.verb == "RENEW" else GOOD[asked.verb]

    return ScriptedServer(script)


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_reply(run: Run, key: str, name: str) -> None:
    """The next connection settles it; silence alone costs the whole deadline of the reply."""

    async def main() -> None:
        with hostile(name, always=False) as server:
            client = client_to(server)
            lock = Redisson(client, key=key)
            begin = time.monotonic()
            try:
                assert await lock.acquire() is True
            except FAILURES as error:
                assert "silence" in name
                check_text(error, key)
            else:
                await lock.release()
            assert time.monotonic() - begin < 0.6 + SLACK
            assert server.of("TRY")
            await close_client(client)

    run(main)


@pytest.mark.parametrize("some", range(4))
def test_hostile_replies_without_end(run: Run, key: str, some: int) -> None:
    """The library's error within the reply's deadline; a few servers at once, for the time it takes."""

    async def one(name: str) -> None:
        with hostile(name, always=True) as server:
            client = client_to(server)
            begin = time.monotonic()
            with pytest.raises(FAILURES) as caught:
                await Redisson(client, key=f"{key}-{name}").acquire()
            assert time.monotonic() - begin < 0.6 + SLACK, name
            check_text(caught.value, f"{key}-{name}")
            assert server.of("TRY")
            await close_client(client)

    async def main() -> None:
        await asyncio.gather(*(one(name) for name in list(HOSTILE)[some::4]))

    run(main)


def test_floods_leave_no_memory_behind(run: Run, key: str) -> None:
    floods = [value for name, value in HOSTILE.items() if "end" in name or "huge" in name]

    def script(asked: Asked) -> object:
        if asked.verb == "TRY":
            return floods[len(server.asked) % len(floods)]
        return b":0\r\n" if asked.verb == "RENEW" else GOOD[asked.verb]

    async def rounds(client: Any, count: int) -> None:
        for _ in range(count):
            with pytest.raises(redis.exceptions.RedisError):
                await Redisson(client, key=key).acquire()

    async def main() -> None:
        client = client_to(server, socket_timeout=0.1)
        await rounds(client, 5)
        process = psutil.Process(os.getpid())
        before, files = process.memory_info().rss, process.num_fds()
        await rounds(client, 15)
        assert process.memory_info().rss - before < 8 << 20
        assert process.num_fds() <= files + 4
        await close_client(client)

    with ScriptedServer(script) as server:
        run(main)


def test_one_byte_at_a_time(run: Run, key: str) -> None:
    async def main() -> None:
        with ScriptedServer(lambda asked: [Drip(GOOD[asked.verb])]) as server:
            client = client_to(server)
            async with Redisson(client, key=key) as lock:
                await lock.extend(30)
                assert await lock.locked() is False
            assert server.opened == 1
            await close_client(client)

    run(main)


@pytest.mark.parametrize(
    "unasked", [b"+OK\r\n", b":1\r\n", b"$-1\r\n", b"-ERR go away\r\n", b"*0\r\n", b"\x01"]
)
def test_a_reply_that_nobody_asked_for(run: Run, key: str, unasked: bytes) -> None:
    """Such a connection is dropped: the next answer would be taken for another's."""

    async def main() -> None:
        with ScriptedServer(lambda asked: GOOD[asked.verb]) as server:
            client = client_to(server)
            async with Redisson(client, key=key, ex=3) as lock:
                server.say(unasked)
                await aeventually(lambda: server.opened == 2)
                await aeventually(lambda: server.live == 1)
                assert lock.is_locked()
                await lock.extend(4)
            assert server.opened == 2
            await close_client(client)

    run(main)


def test_the_text_of_an_unasked_error_is_told(run: Run, key: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        with ScriptedServer(lambda asked: GOOD[asked.verb]) as server:
            client = client_to(server)
            async with Redisson(client, key=key):
                server.say(b"-ERR you idled for too long\r\n")
                await aeventually(lambda: server.opened == 2)
            await close_client(client)

    with caplog.at_level(logging.WARNING, "aioredlock_c"):
        run(main)
    assert "you idled for too long" in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    "first", [b"-ERR max number of clients reached\r\n", b"-DENIED running in protected mode\r\n"]
)
def test_refused_before_a_word_was_said(run: Run, key: str, first: bytes) -> None:
    async def main() -> None:
        with ScriptedServer(lambda asked: GOOD[asked.verb], first=[first, CLOSE]) as server:
            client = client_to(server)
            begin = time.monotonic()
            with pytest.raises((redis.exceptions.ConnectionError, redis.exceptions.ResponseError)) as caught:
                await Redisson(client, key=key).acquire()
            check_text(caught.value, key)
            assert time.monotonic() - begin < 0.1 + SLACK
            await close_client(client)

    run(main)


def test_more_than_was_asked_in_the_greeting(run: Run, key: str) -> None:
    """What is left over of the greeting would be taken for the answer to our first command."""

    async def main() -> None:
        with ScriptedServer(lambda asked: GOOD[asked.verb], more=b"+OK\r\n") as server:
            client = client_to(server)
            with pytest.raises(redis.exceptions.RedisError) as caught:
                await Redisson(client, key=key).acquire()
            check_text(caught.value, key)
            assert not server.of("TRY")
            await close_client(client)

    run(main)


def test_a_key_of_another_type_is_lost_not_taken(run: Run, server: Server, key: str) -> None:
    async def main() -> None:
        async with client_of(server) as client:
            lock = Redisson(client, key=key, ex=20)
            assert await lock.acquire()
            server.admin().delete(on_server(key))
            server.admin().rpush(on_server(key), "x")
            with pytest.raises(LockNotOwnedError):
                await lock.extend(30)
            assert not lock.is_locked()
            assert await Redisson(client, key=key).acquire(blocking=False) is False
            assert server.admin().type(on_server(key)) == "list"
            server.admin().delete(on_server(key))

    run(main)
