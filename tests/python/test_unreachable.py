"""Servers that cannot be reached or stay silent: an error within the client's own limits, never a None."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import time
import warnings
from collections.abc import Iterator

import pytest
import redis.asyncio
from conftest import Run
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import ConnectionError, TimeoutError
from support.clients import close_client, free, held_by_another, value_of
from support.programs import run_clean
from support.proxied import SLACK, proxy_before, via
from support.proxy import Proxy
from support.scripted_server import CLOSE, GOOD, RESET, ScriptedServer
from support.servers import Server
from support.waiting import aeventually, eventually

from aioredlock_c import Redisson

BEFORE = -1  # the command does not reach the server
ONCE = Retry(NoBackoff(), 0)


@pytest.fixture
def proxy(any_server: Server) -> Iterator[Proxy]:
    with proxy_before(any_server) as proxy:
        yield proxy


# ---- when the policy is used up ----


@pytest.mark.parametrize(("retries", "dials"), [(0, 2), (3, 4)])
def test_as_many_dials_as_the_policy_allows(run: Run, key: str, retries: int, dials: int) -> None:
    async def main() -> None:
        with ScriptedServer(lambda asked: GOOD[asked.verb], first=[RESET]) as server:
            async with via(server, retry=Retry(ConstantBackoff(0.1), retries)) as client:
                begin = time.monotonic()
                with pytest.raises(ConnectionError, match=key):
                    await Redisson(client, key=key).acquire()
                took = time.monotonic() - begin
                assert server.opened == dials
                assert 0.1 * (dials - 1) <= took < 0.1 * (dials - 1) + SLACK

    run(main)


@pytest.mark.parametrize("answer", [b"\x00garbage\r\n", RESET, CLOSE], ids=["garbage", "reset", "close"])
def test_a_server_that_breaks_each_connection_is_not_dialled_in_a_circle(
    run: Run, key: str, answer: object
) -> None:
    async def main() -> None:
        with ScriptedServer(lambda asked: answer) as server:
            async with via(server, socket_timeout=0.4, retry=ONCE) as client:
                with pytest.raises((ConnectionError, TimeoutError), match=key):
                    await Redisson(client, key=key).acquire()
                assert 2 <= server.opened <= 10

    run(main)


def test_a_server_that_comes_up_within_the_policy(
    run: Run, any_server: Server, proxy: Proxy, key: str
) -> None:
    async def main() -> None:
        proxy.refuse()
        later = threading.Timer(0.25, proxy.accept)
        later.start()
        async with via(proxy, retry=Retry(ConstantBackoff(0.1), 20)) as client:
            async with Redisson(client, key=key) as lock:
                assert lock.is_locked()
        later.join()

    run(main)


def test_every_waiter_is_told_in_one_turn(run: Run, any_server: Server, proxy: Proxy, key: str) -> None:
    async def main() -> None:
        held_by_another(any_server, key)
        turn = 0
        ended: list[tuple[int, str]] = []

        async def wait() -> None:
            with pytest.raises(ConnectionError) as caught:
                await Redisson(client, key=key, retry_count=None).acquire()
            ended.append((turn, str(caught.value)))

        async with via(proxy, retry=Retry(NoBackoff(), 1)) as client:
            tasks = [asyncio.create_task(wait()) for _ in range(50)]
            await aeventually(lambda: proxy.of("TRY"))
            proxy.refuse()
            proxy.cut()
            while not all(task.done() for task in tasks):
                turn += 1
                await asyncio.sleep(0)
            await asyncio.gather(*tasks)
        turns = [at for at, _ in ended]
        assert max(turns) - min(turns) <= 1  # the counting task runs within the turn too
        assert all(key in text for _, text in ended)
        free(any_server, key)

    run(main)


def test_a_release_that_reaches_nobody(run: Run, any_server: Server, proxy: Proxy, key: str) -> None:
    async def main() -> None:
        async with via(proxy, retry=ONCE) as client:
            lock = Redisson(client, key=key)
            assert await lock.acquire()
            proxy.refuse()
            proxy.cut()
            with pytest.raises(ConnectionError, match=key):
                await lock.release()
            assert not lock.is_locked()
            assert value_of(any_server, key) is not None
            proxy.accept()  # it is owed until the lease's end, though nobody waits for it
            await aeventually(lambda: value_of(any_server, key) is None, 3)

    run(main)


def test_a_release_ends_with_its_lease_at_the_latest(
    run: Run, any_server: Server, proxy: Proxy, key: str
) -> None:
    """However long the client's policy is: there is nothing left to release."""

    async def main() -> None:
        async with via(proxy, retry=Retry(ConstantBackoff(0.1), 1000), socket_timeout=30) as client:
            lock = Redisson(client, key=key, ex=0.6)
            assert await lock.acquire()
            proxy.refuse()
            proxy.cut()
            begin = time.monotonic()
            with contextlib.suppress(ConnectionError, TimeoutError):
                await lock.release()
            assert time.monotonic() - begin < 0.6 + SLACK
            assert not lock.is_locked()
        proxy.accept()

    run(main)


def test_a_wait_ends_before_a_long_policy_does(run: Run, any_server: Server, proxy: Proxy, key: str) -> None:
    """1.5 x socket_timeout after the connection went down, or after the first dial where there was none."""
    timeout = 0.4

    async def main() -> None:
        policy = Retry(ConstantBackoff(0.1), 1000)
        async with via(proxy, retry=policy, socket_timeout=timeout) as client:
            await Redisson(client, key=key).locked()
            proxy.refuse()
            proxy.cut()
            for _ in range(2):
                begin = time.monotonic()
                with pytest.raises((ConnectionError, TimeoutError), match=key):
                    await Redisson(client, key=key, retry_count=None).acquire()
                assert 0.5 * timeout < time.monotonic() - begin < 1.5 * timeout + SLACK
        proxy.accept()

    run(main)


def test_leaving_without_a_server(
    run: Run, any_server: Server, proxy: Proxy, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It raises the client's error where the body raised nothing; else that is logged."""

    async def leave(body: Exception | None) -> None:
        async with via(proxy, retry=ONCE) as client:
            async with Redisson(client, key=key, ex=1):
                proxy.refuse()
                proxy.cut()
                if body is not None:
                    raise body

    async def main() -> None:
        with pytest.raises(ConnectionError, match=key):
            await leave(None)
        proxy.accept()
        eventually(lambda: value_of(any_server, key) is None)
        caplog.clear()
        with pytest.raises(LookupError, match="the body's"):
            await leave(LookupError("the body's"))
        assert any(key in entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING)
        proxy.accept()
        eventually(lambda: value_of(any_server, key) is None)

    run(main)


def test_a_lost_lock_is_left_without_waiting(
    run: Run, any_server: Server, proxy: Proxy, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with via(proxy) as client:
            async with Redisson(client, key=key, ex=0.5) as lock:
                proxy.refuse()
                proxy.cut()
                await aeventually(lambda: not lock.is_locked(), 1.0)
                begin = time.monotonic()
            assert time.monotonic() - begin < 0.1
            assert lock.remaining() == 0.0
        proxy.accept()

    run(main)
    assert key in caplog.text


# ---- silence ----


@pytest.mark.parametrize("when", ["in the greeting", "at the first try", "between tries"])
def test_a_server_that_stops_answering(
    run: Run, any_server: Server, proxy: Proxy, key: str, when: str
) -> None:
    timeout = 0.4

    async def main() -> None:
        async with via(proxy, socket_timeout=timeout, socket_connect_timeout=timeout) as client:
            if when != "in the greeting":
                await Redisson(client, key=f"{key}-warm").locked()
            if when == "between tries":
                held_by_another(any_server, key)
            else:
                proxy.swallow = True

            async def entering() -> None:
                async with Redisson(client, key=key) as lock:
                    pytest.fail(f"entered with {lock}")

            waiting = Redisson(client, key=key, retry_count=None).acquire()
            tasks = [asyncio.create_task(waiting), asyncio.create_task(entering())]
            if when == "between tries":
                await aeventually(lambda: proxy.of("TRY"))
                proxy.swallow = True
            begin = time.monotonic()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            took = time.monotonic() - begin
            assert all(isinstance(error, (ConnectionError, TimeoutError)) for error in results), results
            assert all(key in str(error) for error in results)
            # Between tries a second may pass until the next one, which is then not answered.
            longest = 1.5 * timeout + (1.0 if when == "between tries" else 0)
            assert took < longest + SLACK
            proxy.swallow = False
            free(any_server, key)

    run(main)


def test_silence_ends_release_extend_and_locked(run: Run, any_server: Server, proxy: Proxy, key: str) -> None:
    async def main() -> None:
        async with via(proxy, socket_timeout=0.3, socket_connect_timeout=0.3) as client:
            lock = Redisson(client, key=key, ex=20)
            assert await lock.acquire()
            proxy.swallow = True
            for call in (lock.extend(30), lock.locked()):
                begin = time.monotonic()
                with pytest.raises((ConnectionError, TimeoutError), match=key):
                    await call
                assert time.monotonic() - begin < 0.45 + SLACK
            assert lock.is_locked()  # the lease and its renewal go on
            begin = time.monotonic()
            with pytest.raises((ConnectionError, TimeoutError), match=key):
                await lock.release()
            assert time.monotonic() - begin < 0.45 + SLACK
            proxy.swallow = False
            await aeventually(lambda: value_of(any_server, key) is None, 3)

    run(main)


def test_a_blocking_timeout_ends_a_wait_for_a_silent_server_without_an_error(
    run: Run, any_server: Server, proxy: Proxy, key: str
) -> None:
    async def main() -> None:
        async with via(proxy, socket_timeout=2) as client:
            await Redisson(client, key=f"{key}-warm").locked()
            proxy.swallow = True
            begin = time.monotonic()
            assert await Redisson(client, key=key).acquire(blocking_timeout=0.3) is False
            assert 0.3 <= time.monotonic() - begin < 0.3 + SLACK
            proxy.swallow = False

    run(main)


def test_a_renewal_unanswered_for_a_third_of_ex_takes_another_connection(
    run: Run, any_server: Server, proxy: Proxy, key: str
) -> None:
    """Whatever socket_timeout is: the connection that was silent is given up, the next one answers."""

    async def main() -> None:
        async with via(proxy, socket_timeout=60) as client, Redisson(client, key=key, ex=1.2) as lock:
            opened = proxy.opened
            proxy.hold_replies = True
            await aeventually(lambda: proxy.opened > opened)
            proxy.hold_replies = False
            await asyncio.sleep(1.3)
            assert lock.is_locked()
            assert value_of(any_server, key) == lock.uuid()

    run(main)


# ---- cancelled while there is no connection ----


@pytest.mark.portable
@pytest.mark.parametrize("owed", ["TRY", "RELEASE"])
@pytest.mark.parametrize("times", [1, 3])
def test_all_tasks_cancelled_during_a_reconnect(
    run: Run, any_server: Server, proxy: Proxy, key: str, owed: str, times: int
) -> None:
    async def main() -> None:
        async with via(proxy) as client:
            lock = Redisson(client, key=key)
            await lock.locked()
            if owed == "RELEASE":
                assert await lock.acquire()
            cut = proxy.cut_at(owed, 0 if owed == "TRY" else BEFORE)
            proxy.refuse()
            task = asyncio.create_task(lock.acquire() if owed == "TRY" else lock.release())
            await aeventually(cut.done.is_set)
            assert value_of(any_server, key) is not None
            for _ in range(times):
                await asyncio.sleep(0.02)
                everyone = asyncio.all_tasks() - {asyncio.current_task()}
                assert everyone  # the dial is one
                for each in everyone:
                    each.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            proxy.accept()
            await aeventually(lambda: value_of(any_server, key) is None, 1.0, "a key is left after a second")

    run(main)


ENDS_DURING_A_RECONNECT = """
import asyncio, sys, threading
import redis.asyncio
from aioredlock_c import Redisson
from support.proxy import Proxy

host, port, key, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]

async def main(proxy):
    client = redis.asyncio.Redis(host=proxy.host, port=proxy.port)
    lock = Redisson(client, key=key)
    await lock.locked()
    cut = proxy.cut_at("TRY", 0)
    proxy.refuse()
    task = asyncio.create_task(lock.acquire())
    while not cut.done.is_set():
        await asyncio.sleep(0.005)
    threading.Timer(0.2, proxy.accept).start()
    await client.aclose() if hasattr(client, "aclose") else await client.close()

with Proxy(host, port) as proxy:
    if kind == "uvloop":
        import uvloop
        uvloop.run(main(proxy))
    else:
        asyncio.run(main(proxy))
"""


@pytest.mark.portable
def test_the_loop_ends_during_a_reconnect(any_server: Server, key: str, loop_kind: str) -> None:
    run_clean(ENDS_DURING_A_RECONNECT, any_server.host, any_server.port, key, loop_kind)
    assert value_of(any_server, key) is None


def test_cancelled_waiters_do_not_hold_up_the_end_of_the_loop(
    loop_kind: str, run: Run, proxy: Proxy, key: str
) -> None:
    """With nothing held and nothing owed there is no reason to go on dialling."""

    async def main() -> None:
        proxy.refuse()
        client = redis.asyncio.Redis(host=proxy.host, port=proxy.port, retry=Retry(ConstantBackoff(5), 5))
        task = asyncio.create_task(Redisson(client, key=key).acquire())
        await asyncio.sleep(0.05)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await close_client(client)

    begin = time.monotonic()
    run(main)
    assert time.monotonic() - begin < 1.5
    proxy.accept()


def test_late_answers_of_a_slow_server_are_released(
    run: Run, any_server: Server, proxy: Proxy, key: str
) -> None:
    """Cancelled while its TRY is under way: the slot stays, and the late grant is given back."""

    async def main() -> None:
        async with via(proxy) as client:
            await Redisson(client, key=f"{key}-warm").locked()
            proxy.hold_replies = True
            task = asyncio.create_task(Redisson(client, key=key).acquire())
            await aeventually(lambda: value_of(any_server, key) is not None)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            proxy.hold_replies = False
            await aeventually(lambda: value_of(any_server, key) is None, 1.0)

    run(main)


def test_a_dial_uses_the_clients_deadlines(run: Run, key: str) -> None:
    """A server that takes connections and says nothing at all is a TimeoutError of the library's."""

    async def main() -> None:
        with ScriptedServer(lambda asked: GOOD[asked.verb]) as server:
            server.deaf = True
            options = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2, "retry": ONCE}
            async with via(server, **options) as client:
                begin = time.monotonic()
                with pytest.raises((TimeoutError, ConnectionError), match=key):
                    await Redisson(client, key=key).acquire()
                assert time.monotonic() - begin < 0.3 + SLACK

    run(main)


def test_a_loop_that_makes_no_task_is_told_at_once(run: Run, any_server: Server, key: str) -> None:
    """The reason is at hand: neither the reply's deadline nor a coroutine that nobody awaited."""

    def refuse(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("no task today")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        told: list[object] = []
        loop.set_exception_handler(lambda loop, context: told.append(context["exception"]))
        client = redis.asyncio.Redis(host=any_server.host, port=any_server.port)
        lock = Redisson(client, key=key)
        loop.set_task_factory(refuse)  # type: ignore[arg-type]
        gc.collect()  # what other tests have left
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            begin = time.monotonic()
            with pytest.raises(ZeroDivisionError, match=f"{key}.*no task today"):
                await lock.acquire()
            assert time.monotonic() - begin < SLACK
            gc.collect()
        assert [str(warning.message) for warning in warned] == []
        assert [type(error) for error in told] == [ZeroDivisionError]
        loop.set_task_factory(None)
        async with lock as again:
            assert again is lock
        await close_client(client)

    run(main)
