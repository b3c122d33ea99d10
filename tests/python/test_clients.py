"""Every client that is supported: ours is one more connection, opened as the client would open it."""

from __future__ import annotations

import asyncio
import gc
import importlib
import time
import unittest.mock
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from conftest import Run
from support.clients import close_client, on_server, value_of
from support.servers import Server, running_server
from support.waiting import aeventually, eventually, turns

import aioredlock_c
from aioredlock_c import Redisson, _core
from aioredlock_c.connect import Client, describe

pytestmark = pytest.mark.portable
PASSWORD = "s3cret-word"


def _libraries() -> dict[str, Any]:
    found = {}
    for name, module in (("redis", "redis.asyncio"), ("valkey", "valkey.asyncio"), ("aioredis", "aioredis")):
        try:
            found[name] = importlib.import_module(module)
        except ImportError:  # not installed, or (aioredis) not made for this Python
            continue
        except TypeError:  # aioredis 2.0.1 from Python 3.11 on: "duplicate base class TimeoutError"
            continue
    return found


LIBRARIES = _libraries()


def client_class(library: str) -> Any:
    module = LIBRARIES[library]
    return module.Valkey if library == "valkey" else module.Redis


def errors_of(library: str) -> Any:
    return importlib.import_module(f"{library}.exceptions")


def tcp(library: str, server: Server, **options: Any) -> Any:
    return client_class(library)(host=server.host, port=server.port, **options)


def by_url(library: str, server: Server, database: int = 0, user: str = "", **options: Any) -> Any:
    return LIBRARIES[library].from_url(f"redis://{user}{server.host}:{server.port}/{database}", **options)


def pooled(library: str, server: Server, kind: str = "ConnectionPool", **options: Any) -> Any:
    pool = getattr(LIBRARIES[library], kind)(host=server.host, port=server.port, **options)
    return client_class(library)(connection_pool=pool)


def with_credentials(library: str, server: Server) -> Any:
    base = importlib.import_module(f"{library}.credentials").CredentialProvider

    class Credentials(base):  # type: ignore[misc, valid-type]
        def get_credentials(self) -> tuple[str, str]:
            return "joe", PASSWORD

        async def get_credentials_async(self) -> tuple[str, str]:
            return "joe", PASSWORD

    return tcp(library, server, credential_provider=Credentials())


def with_connect_function(library: str, server: Server) -> Any:
    async def connect(connection: Any) -> None:
        connection.client_name = "from-the-function"
        await connection.on_connect()

    return tcp(library, server, **{f"{library}_connect_func": connect})


def without_protocol(library: str, server: Server) -> Any:
    """A connection class that takes no protocol and speaks RESP3."""

    class Resp3(LIBRARIES[library].Connection):  # type: ignore[misc]
        def __init__(self, *, host: str, port: int, username: str, password: str, **_: Any) -> None:
            if "protocol" in _:
                raise TypeError("__init__() got an unexpected keyword argument 'protocol'")
            super().__init__(host=host, port=port, username=username, password=password, protocol=3)

    return pooled(library, server, connection_class=Resp3, username="joe", password=PASSWORD)


Make = Callable[[str, Server], Any]
# name -> (how to make it, what CLIENT LIST must show of our connection)
ROWS: dict[str, tuple[Make, dict[str, str]]] = {
    "url": (lambda lib, server: by_url(lib, server), {"db": "0"}),
    "url with database": (lambda lib, server: by_url(lib, server, 3), {"db": "3"}),
    "url with user": (
        lambda lib, server: by_url(lib, server, 1, f"joe:{PASSWORD}@"),
        {"user": "joe", "db": "1"},
    ),
    "arguments": (lambda lib, server: tcp(lib, server), {"db": "0"}),
    "database": (lambda lib, server: tcp(lib, server, db=5), {"db": "5"}),
    "user": (lambda lib, server: tcp(lib, server, username="joe", password=PASSWORD), {"user": "joe"}),
    "name": (lambda lib, server: tcp(lib, server, client_name="locks"), {"name": "locks"}),
    "decode_responses": (lambda lib, server: tcp(lib, server, decode_responses=True), {}),
    "latin-1": (lambda lib, server: tcp(lib, server, encoding="latin-1"), {}),
    "unix": (lambda lib, server: client_class(lib)(unix_socket_path=server.unix_path, db=2), {"db": "2"}),
    "unix url": (lambda lib, server: LIBRARIES[lib].from_url(f"unix://{server.unix_path}?db=4"), {"db": "4"}),
    "pool": (lambda lib, server: pooled(lib, server, db=1), {"db": "1"}),
    "blocking pool": (lambda lib, server: pooled(lib, server, "BlockingConnectionPool", timeout=1), {}),
    "one connection": (lambda lib, server: tcp(lib, server, max_connections=1), {}),
    "single_connection_client": (lambda lib, server: tcp(lib, server, single_connection_client=True), {}),
    "health checks": (lambda lib, server: tcp(lib, server, health_check_interval=1), {}),
    "timeouts": (lambda lib, server: tcp(lib, server, socket_timeout=3, socket_connect_timeout=2), {}),
    "keepalive": (lambda lib, server: tcp(lib, server, socket_keepalive=True), {}),
    "RESP2": (lambda lib, server: tcp(lib, server, protocol=2), {}),
    "RESP3": (lambda lib, server: tcp(lib, server, protocol=3), {}),
    "RESP3 with user": (
        lambda lib, server: tcp(lib, server, protocol=3, username="joe", password=PASSWORD, db=6),
        {"user": "joe", "db": "6"},
    ),
    "credential provider": (with_credentials, {"user": "joe"}),
    "connect function": (with_connect_function, {"name": "from-the-function"}),
    "class without protocol": (without_protocol, {"user": "joe"}),
}
NOT_IN_AIOREDIS = {"RESP2", "RESP3", "RESP3 with user", "credential provider", "connect function"}
NOT_IN_AIOREDIS |= {"class without protocol"}
MATRIX = [
    pytest.param(library, row, id=f"{library}: {row}")
    for library in LIBRARIES
    for row in ROWS
    if library != "aioredis" or row not in NOT_IN_AIOREDIS
]
each_library = pytest.mark.parametrize("library", list(LIBRARIES))


@pytest.fixture
def joe(any_server: Server) -> Iterator[None]:
    """A user of the server with a password and with no more rights than a lock and a greeting need."""
    admin = any_server.admin()
    rights = "+set +get +del +pexpire +pttl +eval +evalsha +select".split()
    admin.acl_setuser("joe", enabled=True, passwords=[f"+{PASSWORD}"], keys=["redisson:*"], commands=rights)
    yield
    admin.acl_deluser("joe")


def others(server: Server) -> list[dict[str, str]]:
    """The server's connections but for the tests' own."""
    admin = server.admin()
    mine = str(admin.client_id())
    return [line for line in admin.client_list() if line["id"] != mine]


@pytest.mark.parametrize(("library", "row"), MATRIX)
def test_a_lock_through_each_client(
    run: Run, any_server: Server, key: str, joe: None, library: str, row: str
) -> None:
    make, shown = ROWS[row]

    async def main() -> None:
        eventually(lambda: not others(any_server))
        client = make(library, any_server)
        async with Redisson(client, key=key) as lock:
            assert lock.is_locked()
            (ours,) = others(any_server)
            assert shown.items() <= ours.items()
            admin = redis.Redis(host=any_server.host, port=any_server.port, db=int(ours["db"]))
            assert admin.get(on_server(key)) == lock.uuid().encode()
            await lock.extend(100)
            assert 99_000 < admin.pttl(on_server(key)) <= 100_000
            assert await lock.locked()
        assert admin.get(on_server(key)) is None
        admin.connection_pool.disconnect()  # the oldest redis-py does not at close()
        assert len(others(any_server)) == 1  # the client's own pool has opened nothing
        await close_client(client)

    run(main)
    eventually(lambda: not others(any_server), 1.0, "a connection is left")


@each_library
def test_a_password_alone(run: Run, any_server: Server, key: str, library: str) -> None:
    with running_server(any_server.kind, "--requirepass", PASSWORD) as server:

        async def main() -> None:
            for client in (
                tcp(library, server, password=PASSWORD),
                by_url(library, server, 0, f":{PASSWORD}@"),
            ):
                async with Redisson(client, key=key) as lock:
                    assert lock.is_locked()
                await close_client(client)

        run(main)


# ---- what cannot be served ----


class _Wrapper:
    """Looks like a client and is none."""

    def __init__(self) -> None:
        self.connection_pool = object()


def _fake(library: str) -> Any:
    """As fakeredis has it: its connections derive from the library's but send nothing."""
    module = LIBRARIES[library]
    connection = type("FakeConnection", (module.Connection,), {"__module__": "fakeredis.aioredis"})
    return client_class(library)(connection_pool=module.ConnectionPool(connection_class=connection))


def _sentinel(library: str) -> Any:
    module = importlib.import_module(
        "aioredis.sentinel" if library == "aioredis" else f"{library}.asyncio.sentinel"
    )
    return module.Sentinel([("127.0.0.1", 1)], password=PASSWORD).master_for("primary", password=PASSWORD)


def _refused() -> Iterator[Any]:
    for library in LIBRARIES:
        yield pytest.param(lambda lib=library: _sentinel(lib), "Sentinel", id=f"{library}: sentinel")
        yield pytest.param(lambda lib=library: _fake(lib), "fakeredis", id=f"{library}: fakeredis")
        yield pytest.param(lambda lib=library: client_class(lib), "", id=f"{library}: the class itself")
    yield pytest.param(lambda: redis.Redis(password=PASSWORD), "synchronous", id="synchronous")
    yield pytest.param(lambda: redis.asyncio.ConnectionPool(password=PASSWORD), "ConnectionPool", id="a pool")
    yield pytest.param(lambda: redis.asyncio.Connection(password=PASSWORD), "Connection", id="a connection")
    yield pytest.param(
        lambda: redis.asyncio.RedisCluster(host="127.0.0.1", port=1, password=PASSWORD),
        "cluster",
        id="cluster",
    )
    yield pytest.param(unittest.mock.MagicMock, "MagicMock", id="mock")
    yield pytest.param(unittest.mock.AsyncMock, "AsyncMock", id="async mock")
    yield pytest.param(
        lambda: unittest.mock.MagicMock(spec=redis.asyncio.Redis()), "MagicMock", id="mock of one"
    )
    yield pytest.param(_Wrapper, "_Wrapper", id="wrapper")
    yield pytest.param(lambda: f"redis://:{PASSWORD}@127.0.0.1", "str", id="a url")
    yield pytest.param(lambda: None, "NoneType", id="None")
    yield pytest.param(object, "object", id="object")


@pytest.mark.parametrize(("make", "named"), list(_refused()))
def test_what_cannot_be_served_is_refused_with_what_can(make: Callable[[], Any], named: str) -> None:
    async def main() -> None:
        client = make()
        with pytest.raises(TypeError) as caught:
            Redisson(client, key="never")
        text = str(caught.value)
        assert text.startswith("redis must be ")
        for supported in ("redis.asyncio.Redis", "valkey.asyncio.Valkey", "aioredis.Redis"):
            assert supported in text
        assert named in text.partition("; got ")[2]
        assert PASSWORD not in text
        with pytest.raises(TypeError):
            await aioredlock_c.aclose(client)

    asyncio.run(main())


def test_a_connection_without_a_socket_is_refused_when_it_has_connected(
    run: Run, any_server: Server, key: str
) -> None:
    class Tunnel(redis.asyncio.Connection):
        """Connects through something that is no stream of asyncio's."""

        async def connect(self, *_: Any, **__: Any) -> None:
            self._reader = self._writer = unittest.mock.MagicMock(spec=["close"])

    async def main() -> None:
        client = pooled("redis", any_server, connection_class=Tunnel)
        with pytest.raises(TypeError, match="Tunnel"):
            await Redisson(client, key=key).acquire()
        await close_client(client)

    run(main)


# ---- beside the client's own connections ----


@each_library
@pytest.mark.parametrize("kind", ["ConnectionPool", "BlockingConnectionPool"])
def test_our_connection_does_not_count_against_the_pool(
    run: Run, any_server: Server, key: str, library: str, kind: str
) -> None:
    options = {"timeout": 0.2} if kind == "BlockingConnectionPool" else {}

    async def main() -> None:
        client = pooled(library, any_server, kind, max_connections=1, **options)
        async with Redisson(client, key=key) as lock:
            await client.ping()
            async with client.pipeline() as pipeline:  # the pool's only connection is taken
                await pipeline.watch("anything")
                await lock.extend(20)
                async with Redisson(client, key=f"{key}-2") as second:
                    assert second.is_locked()
        await client.connection_pool.disconnect()
        await close_client(client)

    run(main)


@each_library
def test_clients_of_one_pool_share_a_connection(run: Run, any_server: Server, key: str, library: str) -> None:
    async def main() -> None:
        pool = LIBRARIES[library].ConnectionPool(host=any_server.host, port=any_server.port)
        make = client_class(library)
        first, second = make(connection_pool=pool), make(connection_pool=pool)
        async with Redisson(first, key=key), Redisson(second, key=f"{key}-2"):
            assert len(others(any_server)) == 1
        await close_client(first)
        await close_client(second)

    run(main)


@each_library
def test_the_connection_closes_when_its_client_is_gone(
    run: Run, any_server: Server, key: str, library: str
) -> None:
    async def main() -> None:
        eventually(lambda: not others(any_server))
        client = tcp(library, any_server)
        async with Redisson(client, key=key):
            assert len(others(any_server)) == 1
        await close_client(client)
        del client
        await turns(2)  # what the loop still holds of the release
        gc.collect()
        await aeventually(lambda: not others(any_server), 2.0, "our connection outlives its client")

    run(main)


@pytest.mark.exact
@each_library
def test_a_held_lock_keeps_its_client_and_its_connection(
    run: Run, any_server: Server, key: str, library: str
) -> None:
    async def main() -> None:
        lock = Redisson(tcp(library, any_server), key=key, ex=2)
        assert await lock.acquire()
        gc.collect()
        await asyncio.sleep(2.3)  # longer than ex: it was renewed
        assert lock.is_locked()
        assert value_of(any_server, key) == lock.uuid()
        await lock.release()
        await close_client(lock.redis)

    run(main)


@each_library
def test_aclose_releases_and_closes_and_the_client_goes_on(
    run: Run, any_server: Server, key: str, library: str
) -> None:
    async def main() -> None:
        eventually(lambda: not others(any_server))
        client = tcp(library, any_server)
        await aioredlock_c.aclose(client)  # nothing was used yet
        lock, waiter = Redisson(client, key=key), Redisson(client, key=key, retry_count=None)
        assert await lock.acquire()
        waiting = asyncio.create_task(waiter.acquire())
        await asyncio.sleep(0)
        await aioredlock_c.aclose(client)
        assert not others(any_server)
        assert value_of(any_server, key) is None
        assert not lock.is_locked()
        with pytest.raises(errors_of(library).ConnectionError, match=key):
            await waiting
        assert await waiter.acquire() is True
        await waiter.release()
        await aioredlock_c.aclose(client)
        await aioredlock_c.aclose(client)
        await close_client(client)

    run(main)


def test_a_long_lease_leaves_the_loop_in_peace(run: Run, any_server: Server, key: str) -> None:
    async def main(client: Any) -> None:
        async with Redisson(client, key=key, ex=300):
            connection: Any = _core.connection_of(client.connection_pool)
            connection._idle_ns = 100_000_000
            await Redisson(client, key=key).locked()  # arms the timer anew
            loop: Any = asyncio.get_running_loop()
            arm, armed = loop.call_at, []

            def counted(when: float, *rest: Any, **named: Any) -> Any:
                armed.append(when)
                return arm(when, *rest, **named)

            loop.call_at = counted
            try:
                await asyncio.sleep(0.6)
            finally:
                del loop.call_at
            assert len(armed) < 20  # the renewal comes after 100 s; till then there is nothing to do

    run(main, any_server)


def test_an_idle_connection_closes_and_a_held_one_does_not(run: Run, any_server: Server, key: str) -> None:
    async def main(client: Any) -> None:
        lock = Redisson(client, key=key, ex=3)
        assert await lock.acquire()
        connection: Any = _core.connection_of(client.connection_pool)
        assert connection._idle_ns == 30_000_000_000
        connection._idle_ns = 200_000_000
        await asyncio.sleep(0.5)  # nothing is written meanwhile: a renewal comes after a second
        assert len(others(any_server)) == 1
        await lock.release()
        begin = time.monotonic()
        await aeventually(lambda: not others(any_server), 2.0, "idle and open")
        assert time.monotonic() - begin > 0.1
        async with Redisson(client, key=key) as again:
            assert again.is_locked()

    run(main, any_server)


# ---- what is read from a client ----


def told(client: Any) -> Client:
    return describe(client)


@each_library
def test_the_deadlines_are_the_clients(any_server: Server, library: str) -> None:
    async def main() -> None:
        none = told(tcp(library, any_server, socket_timeout=None, socket_connect_timeout=None))
        assert (none.reply_timeout, none.dial_timeout) == (5.0, 7.5)
        both = told(tcp(library, any_server, socket_timeout=2, socket_connect_timeout=3))
        assert (both.reply_timeout, both.dial_timeout) == (2.0, 4.0)
        url = f"redis://{any_server.host}:{any_server.port}/0?socket_timeout=0.5&socket_connect_timeout=0.25"
        query = told(LIBRARIES[library].from_url(url))
        assert (query.reply_timeout, query.dial_timeout) == (0.5, 0.5)
        endless = told(tcp(library, any_server, socket_timeout=float("inf")))
        assert endless.reply_timeout == 1e6

    asyncio.run(main())


@pytest.mark.parametrize("library", [name for name in LIBRARIES if name != "aioredis"])
def test_the_retry_policy_is_the_clients(any_server: Server, library: str) -> None:
    retry = importlib.import_module(f"{library}.asyncio.retry").Retry
    backoff = importlib.import_module(f"{library}.backoff")

    async def main() -> None:
        three = told(tcp(library, any_server, retry=retry(backoff.ConstantBackoff(0.25), 3)))
        assert list(three.pauses()) == [0.25, 0.25, 0.25]
        growing = told(tcp(library, any_server, retry=retry(backoff.ExponentialBackoff(cap=1, base=0.1), 4)))
        assert list(growing.pauses()) == pytest.approx([0.2, 0.4, 0.8, 1.0])
        none = told(tcp(library, any_server, retry=retry(backoff.NoBackoff(), 0)))
        assert list(none.pauses()) == [0.1]
        endless = told(tcp(library, any_server, retry=retry(backoff.NoBackoff(), -1))).pauses()
        assert [next(endless) for _ in range(50)] == [0.1] * 50
        url = told(by_url(library, any_server))
        assert list(url.pauses()) == [0.1]

    asyncio.run(main())


@each_library
def test_what_is_kept_of_a_client_shows_no_secret_and_does_not_keep_it(
    any_server: Server, library: str
) -> None:
    async def main() -> None:
        client = tcp(library, any_server, username="joe", password=PASSWORD)
        known: Any = told(client)
        assert PASSWORD not in repr(known)
        assert known.pool() is client.connection_pool
        connection = known.make_connection()
        assert (connection.username, connection.password) == ("joe", PASSWORD)
        client.connection_pool.connection_kwargs["password"] = "changed since"
        assert known.make_connection().password == "changed since"
        del client, connection
        gc.collect()
        assert known.pool() is None
        assert known.make_connection().password == PASSWORD

    asyncio.run(main())


@each_library
def test_error_replies_become_the_librarys_exceptions(any_server: Server, library: str) -> None:
    errors = errors_of(library)

    async def main() -> None:
        convert = told(tcp(library, any_server)).server_error
        for text, name in (
            ("READONLY You can't write against a read only replica.", "ReadOnlyError"),
            ("NOPERM this user has no permissions", "NoPermissionError"),
            ("LOADING Redis is loading the dataset in memory", "BusyLoadingError"),
            ("OOM command not allowed when used memory > 'maxmemory'.", "OutOfMemoryError"),
            ("MOVED 3999 127.0.0.1:6381", "MovedError"),
            ("ERR max number of clients reached", "ConnectionError"),
            ("WRONGTYPE Operation against a key", "ResponseError"),
            ("MOVED nowhere", "ResponseError"),
            ("", "ResponseError"),
            ("\ufffd\x00 ", "ResponseError"),
        ):
            expected = getattr(errors, name, errors.ResponseError)  # an older library has fewer classes
            if library == "aioredis" and name == "MovedError":
                expected = errors.ResponseError
            assert type(convert(text)) is expected, text

    asyncio.run(main())
