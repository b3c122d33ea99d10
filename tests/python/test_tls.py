"""TLS: our connection is the client's, with certificate and host name checked, through a relay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from support.clients import close_client, value_of
from support.programs import run_clean
from support.proxied import cut_and_await
from support.proxy import Proxy
from support.servers import Server
from support.tls import NAME, relay
from test_clients import LIBRARIES, client_class, each_library, errors_of

from aioredlock_c import Redisson

# TLS under a sanitizer is too slow for deadlines of a second.
pytestmark = [pytest.mark.portable, pytest.mark.exact]


@dataclass(frozen=True)
class Secure:
    """The relay and the file of the authority that its certificate is from."""

    proxy: Proxy
    authority: Path

    def by_arguments(self, library: str, host: str = NAME, **options: Any) -> Any:
        return client_class(library)(
            host=host,
            port=self.proxy.port,
            ssl=True,
            ssl_ca_certs=str(self.authority),
            ssl_check_hostname=True,
            **options,
        )

    def by_url(self, library: str, host: str = NAME) -> Any:
        scheme = "valkeys" if library == "valkey" else "rediss"
        options = f"ssl_ca_certs={self.authority}&ssl_check_hostname=True"
        return LIBRARIES[library].from_url(f"{scheme}://{host}:{self.proxy.port}/0?{options}")


@pytest.fixture
def secure(any_server: Server, tmp_path: Path) -> Iterator[Secure]:
    proxy, authority = relay(any_server.host, any_server.port, tmp_path)
    with proxy:
        yield Secure(proxy, authority)


@each_library
@pytest.mark.parametrize("way", ["by_arguments", "by_url"])
def test_a_lock_over_tls(
    run: Run, any_server: Server, secure: Secure, key: str, library: str, way: str
) -> None:
    async def main() -> None:
        client = getattr(secure, way)(library)
        async with Redisson(client, key=key) as lock:
            assert value_of(any_server, key) == lock.uuid()
            await lock.extend(60)
            assert 50 < lock.remaining() <= 60
        assert value_of(any_server, key) is None
        assert secure.proxy.opened == 1
        await close_client(client)

    run(main)


@each_library
@pytest.mark.parametrize("way", ["by_arguments", "by_url"])
def test_a_wrong_host_name_is_refused_at_once(
    run: Run, secure: Secure, key: str, library: str, way: str
) -> None:
    async def main() -> None:
        client = getattr(secure, way)(library, "127.0.0.1")
        begin = time.monotonic()
        with pytest.raises(errors_of(library).ConnectionError, match=key) as caught:
            await Redisson(client, key=key).acquire()
        assert time.monotonic() - begin < 1.0  # no retry would mend it
        told = str(caught.value)  # aioredis and the oldest redis-py tell no more than the error's number
        assert "certificate verify failed" in told or told.endswith(" 1.")
        assert not secure.proxy.requests
        await close_client(client)

    run(main)


@each_library
def test_an_unknown_authority_is_refused(
    run: Run, secure: Secure, key: str, library: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def main() -> None:
        _, stranger = relay("127.0.0.1", 1, tmp_path_factory.mktemp("other"))
        client = secure.by_arguments(library)
        client.connection_pool.connection_kwargs["ssl_ca_certs"] = str(stranger)
        with pytest.raises(errors_of(library).ConnectionError, match=key):
            await Redisson(client, key=key).acquire()
        assert not secure.proxy.requests
        await close_client(client)

    run(main)


def test_no_tls_where_the_client_wants_it(run: Run, any_server: Server, secure: Secure, key: str) -> None:
    """A plain server is never spoken to in the clear."""

    async def main() -> None:
        with Proxy(any_server.host, any_server.port) as plain:
            client = Secure(plain, secure.authority).by_arguments("redis", socket_timeout=1)
            with pytest.raises(errors_of("redis").RedisError, match=key):
                await Redisson(client, key=key).acquire()
            assert not plain.requests
            await close_client(client)

    run(main)


def test_many_locks_in_one_write(run: Run, any_server: Server, secure: Secure, key: str) -> None:
    async def main() -> None:
        client = secure.by_arguments("redis")
        locks = [Redisson(client, key=f"{key}-{number}") for number in range(500)]
        assert all(await asyncio.gather(*(lock.acquire() for lock in locks)))
        assert all(lock.is_locked() for lock in locks)
        await asyncio.gather(*(lock.release() for lock in locks))
        assert secure.proxy.opened == 1
        await close_client(client)

    run(main)


@pytest.mark.parametrize("fin", [False, True], ids=["rst", "fin"])
def test_cut_and_dialled_again(run: Run, any_server: Server, secure: Secure, key: str, fin: bool) -> None:
    async def main() -> None:
        client = secure.by_arguments("redis")
        lock = Redisson(client, key=key, ex=1)
        assert await lock.acquire()
        for _ in range(3):
            await cut_and_await(secure.proxy, fin)
            await asyncio.sleep(0.4)
            assert lock.is_locked()
            assert value_of(any_server, key) == lock.uuid()
        await lock.release()
        await close_client(client)

    run(main)


def test_a_silent_peer_ends_with_an_error(run: Run, secure: Secure, key: str) -> None:
    async def main() -> None:
        errors = errors_of("redis")
        client = secure.by_arguments("redis", socket_timeout=0.3, socket_connect_timeout=0.3)
        await Redisson(client, key=f"{key}-warm").locked()
        secure.proxy.swallow = True
        begin = time.monotonic()
        with pytest.raises((errors.ConnectionError, errors.TimeoutError), match=key):
            await Redisson(client, key=key).acquire()
        assert time.monotonic() - begin < 1.0
        await close_client(client)

    run(main)


PROGRAM = """
import asyncio, sys
from pathlib import Path
from aioredlock_c import Redisson
from support.clients import close_client
from support.tls import relay
from test_tls import Secure

host, port, key, kind, directory, held = sys.argv[1], int(sys.argv[2]), *sys.argv[3:]

async def main(secure):
    client = secure.by_arguments("redis")
    async with Redisson(client, key=key):
        pass
    if held == "held":
        globals()["kept"] = Redisson(client, key=key)
        assert await kept.acquire()
    if held == "silent":
        secure.proxy.swallow = True
    await close_client(client)

proxy, authority = relay(host, port, Path(directory))
with proxy:
    if kind == "uvloop":
        import uvloop
        uvloop.run(main(Secure(proxy, authority)))
    else:
        asyncio.run(main(Secure(proxy, authority)))
"""


@pytest.mark.parametrize("held", ["idle", "held", "silent"])
def test_the_end_of_the_loop_leaves_nothing_open(
    any_server: Server, key: str, loop_kind: str, tmp_path: Path, held: str
) -> None:
    begin = time.monotonic()
    run_clean(PROGRAM, any_server.host, any_server.port, key, loop_kind, tmp_path, held)
    assert time.monotonic() - begin < 15
    assert value_of(any_server, key) is None
