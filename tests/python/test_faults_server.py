"""What the server and the way to it can do to a lease, beyond single cuts and errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from conftest import Run, keys_left
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from support.clients import client_of, free, on_server, value_of
from support.proxied import proxy_before, via
from support.proxy import Proxy
from support.scripted_server import GOOD, ScriptedServer
from support.servers import Server, running_server
from support.waiting import aeventually, turns

from aioredlock_c import Redisson

ONCE = Retry(NoBackoff(), 0)
LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"


@pytest.fixture
def proxy(any_server: Server) -> Iterator[Proxy]:
    with proxy_before(any_server) as proxy:
        yield proxy


def told(caplog: pytest.LogCaptureFixture, key: str) -> list[str]:
    messages = [record.getMessage() for record in caplog.records if record.name == "aioredlock_c"]
    return [message for message in messages if repr(key) in message]


# ---- cancelled while the answer is on its way ----


def test_cancelled_at_each_turn_behind_a_slow_server(
    run: Run, any_server: Server, proxy: Proxy, key: str
) -> None:
    """The server has applied SET; its answer comes too late to be wanted."""

    async def main() -> None:
        proxy.delay = 0.005
        async with via(proxy) as client:
            await Redisson(client, key=f"{key}-warm").locked()
            tasks = []
            for count in range(51):
                tasks.append(asyncio.create_task(Redisson(client, key=f"{key}-{count}").acquire()))
                await turns(count)
                tasks[-1].cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            missed = [n for n, result in enumerate(results) if result is True]  # done before it was cancelled
            assert all(isinstance(result, asyncio.CancelledError) or result is True for result in results)
            assert len(missed) < 40
            for number in missed:
                free(any_server, f"{key}-{number}")
            await aeventually(lambda: not keys_left(any_server, key), 1.0)
        assert len(proxy.of("TRY")) > 40

    run(main)


# ---- renewals that fail ----


@pytest.mark.parametrize("fails", [1, 2, 4])
def test_renewals_cut_off_several_times_in_a_row(
    run: Run, any_server: Server, proxy: Proxy, key: str, fails: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with via(proxy) as client, Redisson(client, key=key, ex=1) as lock:
            cuts = [proxy.cut_at("RENEW", -1) for _ in range(fails)]
            while not all(cut.done.is_set() for cut in cuts):
                assert lock.is_locked() and value_of(any_server, key) == lock.uuid()
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.7)
            assert lock.is_locked() and value_of(any_server, key) == lock.uuid()

    run(main)
    assert told(caplog, key) == []


def test_renewals_that_all_fail_end_with_the_lease(
    run: Run, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Tried again until the lease's end, and lost then: not before, and by the clock, without an answer."""

    async def main() -> None:
        with ScriptedServer(lambda asked: LOADING if asked.verb == "RENEW" else GOOD[asked.verb]) as server:
            async with via(server) as client:
                lock = Redisson(client, key=key, ex=0.6)
                assert await lock.acquire()
                written = server.of("TRY")[0].at
                while lock.is_locked():
                    assert time.monotonic() - written < 0.6
                    await asyncio.sleep(0.002)
                assert time.monotonic() - written > 0.5
                assert len(server.of("RENEW")) >= 4
                await aeventually(lambda: server.of("RELEASE"))
                asked = len(server.of("RENEW"))
                await asyncio.sleep(0.3)
                assert len(server.of("RENEW")) == asked and not lock.is_locked()

    run(main)
    assert len(told(caplog, key)) == 1


# ---- the key goes ----


def test_a_key_that_the_server_evicts(
    run: Run, server_kind: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        with running_server(server_kind) as server:
            async with client_of(server) as client:
                lock = Redisson(client, key=key, ex=0.9)
                assert await lock.acquire()
                server.admin().config_set("maxmemory-policy", "allkeys-random")
                server.admin().config_set("maxmemory", 1)
                await aeventually(lambda: value_of(server, key) is None)
                gone = time.monotonic()
                await aeventually(lambda: not lock.is_locked())
                assert time.monotonic() - gone < 0.9 / 3 + 0.15

    run(main)
    assert len(told(caplog, key)) == 1


def test_a_failover_to_a_copy_that_missed_the_key(
    run: Run, server_kind: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The limit of one primary: somebody else gets the lock; the old holder is told at its next renewal."""

    async def main() -> None:
        at_once = ("--repl-diskless-sync-delay", "0")
        with running_server(server_kind, *at_once) as primary, running_server(server_kind) as copy:
            copy.admin().replicaof(primary.host, primary.port)
            await aeventually(lambda: copy.admin().info("replication")["master_link_status"] == "up")
            copy.admin().replicaof("NO", "ONE")  # promoted before the key reached it
            with Proxy(primary.host, primary.port) as proxy:
                async with via(proxy) as client, client_of(copy) as fresh:
                    lock = Redisson(client, key=key, ex=0.9)
                    assert await lock.acquire()
                    proxy.retarget(copy.host, copy.port)
                    proxy.cut()
                    failed = time.monotonic()
                    async with Redisson(fresh, key=key, ex=5) as other:
                        await aeventually(lambda: not lock.is_locked())
                        assert time.monotonic() - failed < 0.9 / 3 + 0.3
                        assert lock.remaining() == 0.0
                        assert other.is_locked() and value_of(copy, key) == other.uuid()
                        await asyncio.sleep(0.1)
                        assert value_of(copy, key) == other.uuid()  # what the loser sends harms nobody

    run(main)
    assert len(told(caplog, key)) == 1


# ---- packets that arrive late ----


@pytest.mark.parametrize("late", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("held", [True, False], ids=["held", "released"])
def test_a_try_that_arrives_after_its_connection_was_given_up(
    run: Run, any_server: Server, proxy: Proxy, key: str, late: float, held: bool
) -> None:
    """The network delivers it so many seconds after the reset: it takes nothing from a holder, nor stays."""

    async def main() -> None:
        async with via(proxy, socket_timeout=0.2, retry=ONCE) as client:
            await Redisson(client, key=f"{key}-warm").locked()
            proxy.hold_connections(True)
            lock = Redisson(client, key=key, ex=1)
            assert await lock.acquire()  # over the next connection
            token = lock.uuid().encode()
            assert [request.words[2] for request in proxy.of("TRY")] == [token]
            if not held:
                await lock.release()
            await asyncio.sleep(late)
            proxy.hold_connections(False)
            await aeventually(lambda: len(proxy.of("TRY")) == 2)
            first = proxy.of("TRY")[1].words[2]
            assert first != token  # a token in doubt is never tried again
            if held:
                await asyncio.sleep(0.1)
                assert lock.is_locked() and value_of(any_server, key) == lock.uuid()
                await lock.release()
            # It is released once more 0.6 s after the reset; what comes still later ends with its ttl.
            await aeventually(lambda: value_of(any_server, key) is None, 0.8 if late < 0.5 else 1.2)
            assert len([request for request in proxy.of("RELEASE") if request.words[4] == first]) >= 1

    run(main)


def test_a_renewal_that_arrives_after_the_release_lengthens_nothing(
    run: Run, any_server: Server, proxy: Proxy, key: str
) -> None:
    """Held back before the release was called, delivered while somebody else holds the lock for less."""

    async def main() -> None:
        async with via(proxy) as client, client_of(any_server) as direct:
            lock = Redisson(client, key=key, ex=0.9)
            assert await lock.acquire()
            proxy.hold_connections(True)
            await aeventually(lambda: proxy.opened == 2)  # its renewal was unanswered for ex / 3
            await lock.release()
            other = Redisson(direct, key=key, ex=0.5)
            assert await other.acquire()
            before = len(proxy.of("RENEW"))
            proxy.hold_connections(False)
            await aeventually(lambda: len(proxy.of("RENEW")) > before)
            await asyncio.sleep(0.05)
            assert any_server.admin().pttl(on_server(key)) <= 500
            assert value_of(any_server, key) == other.uuid() and other.is_locked()
            await other.release()

    run(main)
