"""Connections that are cut: whatever was under way is settled, and goes on over the next one."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Run
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import ConnectionError
from support.clients import free, held_by_another, on_server, value_of
from support.proxied import cut_and_await, proxy_before, via
from support.proxy import Proxy
from support.servers import Server, running_server, start_server
from support.waiting import aeventually

from aioredlock_c import Redisson

BEFORE = -1  # the command does not reach the server
ALL = None  # the whole reply passes, then the cut
ONCE = Retry(NoBackoff(), 0)


@pytest.fixture
def proxy(any_server: Server) -> Iterator[Proxy]:
    with proxy_before(any_server) as proxy:
        yield proxy


def cuts(reply: bytes) -> list[Any]:
    """Parameters (keep, fin): before the command, within the reply at every byte, after it; reset and end."""
    keeps: list[int | None] = [BEFORE, *range(len(reply)), ALL]
    names = {BEFORE: "before", ALL: "after"}
    return [
        pytest.param(keep, fin, id=f"{names.get(keep, keep)}-{'fin' if fin else 'rst'}")
        for keep in keeps
        for fin in (False, True)
    ]


# ---- one command, cut anywhere ----


@pytest.mark.parametrize(("keep", "fin"), cuts(b"+OK\r\n"))
def test_try(run: Run, any_server: Server, proxy: Proxy, key: str, keep: int | None, fin: bool) -> None:
    async def main() -> None:
        async with via(proxy) as client:
            lock = Redisson(client, key=key)
            cut = proxy.cut_at("TRY", keep, fin=fin)
            assert await lock.acquire() is True
            await aeventually(cut.done.is_set)
            assert lock.is_locked()
            assert value_of(any_server, key) == lock.uuid()
            first = proxy.of("TRY")[-1 if keep is ALL else 0].words[2].decode()
            # Executed: settled as ours. Not executed: the token is dead, and the next try has a fresh one.
            assert (first == lock.uuid()) is (keep != BEFORE)
            await lock.release()
            assert value_of(any_server, key) is None
        proxy.requests.clear()

    run(main)


@pytest.mark.parametrize(("keep", "fin"), cuts(b"$-1\r\n"))
def test_try_of_a_taken_key(
    run: Run, any_server: Server, proxy: Proxy, key: str, keep: int | None, fin: bool
) -> None:
    async def main() -> None:
        held_by_another(any_server, key)
        async with via(proxy) as client:
            lock = Redisson(client, key=key, retry_count=None)
            cut = proxy.cut_at("TRY", keep, fin=fin)
            task = asyncio.create_task(lock.acquire())
            await aeventually(cut.done.is_set)
            await aeventually(lambda: len(proxy.of("TRY")) >= 3)  # it goes on
            assert not task.done()
            free(any_server, key)
            assert await task is True
            await lock.release()
        proxy.requests.clear()

    run(main)


@pytest.mark.parametrize(("keep", "fin"), cuts(b":1\r\n"))
def test_release(run: Run, any_server: Server, proxy: Proxy, key: str, keep: int | None, fin: bool) -> None:
    async def main() -> None:
        async with via(proxy) as client:
            lock = Redisson(client, key=key)
            assert await lock.acquire()
            cut = proxy.cut_at("RELEASE", keep, fin=fin)
            await lock.release()  # one sent again counts as released, though it is answered "no"
            await aeventually(cut.done.is_set)
            assert value_of(any_server, key) is None
            assert len(proxy.of("RELEASE")) == (1 if keep is ALL else 2)
        proxy.requests.clear()

    run(main)


@pytest.mark.parametrize(("keep", "fin"), cuts(b":1\r\n"))
def test_renew(run: Run, any_server: Server, proxy: Proxy, key: str, keep: int | None, fin: bool) -> None:
    async def main() -> None:
        async with via(proxy) as client:
            lock = Redisson(client, key=key)
            assert await lock.acquire()
            cut = proxy.cut_at("RENEW", keep, fin=fin)
            await lock.extend(60)
            await aeventually(cut.done.is_set)
            assert 50 < lock.remaining() <= 60
            assert any_server.admin().pttl(on_server(key)) > 50_000
            await lock.release()
            assert value_of(any_server, key) is None

    run(main)


@pytest.mark.parametrize("keep", [BEFORE, 0, 2, ALL])
def test_a_renewal_of_a_hold(run: Run, any_server: Server, proxy: Proxy, key: str, keep: int | None) -> None:
    async def main() -> None:
        async with via(proxy) as client, Redisson(client, key=key, ex=1) as lock:
            cut = proxy.cut_at("RENEW", keep)
            await aeventually(cut.done.is_set)
            proxy.requests.clear()
            await aeventually(lambda: len(proxy.of("RENEW")) >= 3)
            assert lock.is_locked()
            assert value_of(any_server, key) == lock.uuid()

    run(main)


def test_the_greeting(run: Run, any_server: Server, proxy: Proxy, key: str) -> None:
    async def main() -> None:
        for keep in (BEFORE, 0, 3, ALL):
            async with via(proxy, client_name="locks") as client:
                cut = proxy.cut_at("CLIENT", keep)
                async with Redisson(client, key=key) as lock:
                    assert cut.done.is_set()
                    assert lock.is_locked()

    run(main)


# ---- what goes on over a cut ----


def test_pending_acquires_go_on_in_their_order(run: Run, any_server: Server, proxy: Proxy, key: str) -> None:
    async def main() -> None:
        held_by_another(any_server, key)
        order: list[int] = []

        async def worker(number: int) -> None:
            async with Redisson(client, key=key, retry_count=None) as lock:
                order.append(number)
                assert value_of(any_server, key) == lock.uuid()

        async with via(proxy) as client:
            workers = [asyncio.create_task(worker(number)) for number in range(10)]
            await aeventually(lambda: proxy.of("TRY"))
            for _ in range(3):
                await cut_and_await(proxy)
            free(any_server, key)
            await asyncio.gather(*workers)
            assert order == list(range(10))

    run(main)


def test_held_leases_survive(run: Run, any_server: Server, proxy: Proxy, key: str) -> None:
    async def main() -> None:
        async with via(proxy) as client:
            locks = [Redisson(client, key=f"{key}-{number}", ex=1) for number in range(20)]
            assert all(await asyncio.gather(*(lock.acquire() for lock in locks)))
            tokens = [lock.uuid() for lock in locks]
            end = time.monotonic() + 2.2
            while time.monotonic() < end:  # three cuts in each ex
                proxy.cut()
                await asyncio.sleep(0.35)
                assert all(lock.is_locked() for lock in locks)
            assert [value_of(any_server, lock.key) for lock in locks] == tokens == [k.uuid() for k in locks]
            await asyncio.gather(*(lock.release() for lock in locks))

    run(main)


def test_a_hold_goes_on_dialling_when_the_policy_is_used_up(
    run: Run, any_server: Server, proxy: Proxy, key: str
) -> None:
    async def main() -> None:
        async with via(proxy, retry=ONCE) as client, Redisson(client, key=key, ex=2) as lock:
            proxy.refuse()
            proxy.cut()
            with pytest.raises(ConnectionError):  # who only waits is told
                await Redisson(client, key=f"{key}-2").acquire()
            assert lock.is_locked()
            proxy.accept()
            await asyncio.sleep(2.2)
            assert lock.is_locked()
            assert value_of(any_server, key) == lock.uuid()

    run(main)


def test_cut_while_idle_is_not_noticed(run: Run, any_server: Server, proxy: Proxy, key: str) -> None:
    async def main() -> None:
        async with via(proxy, retry=ONCE) as client:
            for fin in (True, False, True):
                async with Redisson(client, key=key) as lock:
                    assert lock.is_locked()
                proxy.cut(fin)
                await aeventually(lambda: proxy.live == 0)

    run(main)


def test_the_order_after_a_cut(run: Run, any_server: Server, proxy: Proxy, key: str) -> None:
    """RELEASEs, RENEWs, then new TRYs."""

    async def main() -> None:
        async with via(proxy) as client:
            held, left = Redisson(client, key=f"{key}-held", ex=20), Redisson(client, key=f"{key}-left")
            assert await held.acquire()
            assert await left.acquire()
            proxy.hold_requests = True
            tasks: list[asyncio.Task[Any]] = [asyncio.create_task(left.release())]
            tasks.append(asyncio.create_task(held.extend(30)))
            new = Redisson(client, key=f"{key}-new")
            tasks.append(asyncio.create_task(new.acquire()))
            await asyncio.sleep(0.05)
            proxy.cut()
            proxy.requests.clear()
            proxy.hold_requests = False
            await asyncio.gather(*tasks)
            verbs = [r.verb for r in proxy.requests if r.verb in ("TRY", "RENEW", "RELEASE")]
            # Once more RELEASE before the TRY: the token that was in doubt is dead.
            assert list(dict.fromkeys(verbs)) == ["RELEASE", "RENEW", "TRY"]
            await held.release()
            await new.release()

    run(main)


def test_a_hundred_cuts_and_an_exact_count(run: Run, any_server: Server, proxy: Proxy, key: str) -> None:
    async def main() -> None:
        count, stop = 0, threading.Event()

        def cutting() -> None:
            for number in range(100):
                proxy.cut(fin=number % 2 == 0)
                if stop.wait(0.01):
                    break

        async def worker() -> None:
            nonlocal count
            for _ in range(20):
                async with Redisson(client, key=key, retry_count=None) as lock:
                    seen = count
                    await asyncio.sleep(0.001)
                    assert value_of(any_server, key) == lock.uuid()
                    count = seen + 1

        async with via(proxy, retry=Retry(ConstantBackoff(0.01), 50)) as client:
            cutter = threading.Thread(target=cutting)
            cutter.start()
            try:
                await asyncio.gather(*(worker() for _ in range(10)))
            finally:
                stop.set()
                cutter.join()
        assert count == 200

    run(main)


# ---- servers that come back ----


@pytest.mark.parametrize("kept", [True, False], ids=["with its data", "empty"])
def test_a_hold_over_a_restart_of_the_server(run: Run, any_server: Server, key: str, kept: bool) -> None:
    async def main() -> None:
        with running_server(any_server.kind) as server:
            async with via(server) as client:
                lock = Redisson(client, key=key, ex=3)
                assert await lock.acquire()
                if kept:
                    server.admin().save()
                server.admin().close()
                server.process.kill()
                server.process.wait()
                again = subprocess.Popen(server.process.args, stdout=subprocess.DEVNULL)
                try:
                    await asyncio.sleep(3.3 if kept else 0)
                    if kept:
                        assert lock.is_locked()
                        assert value_of(server, key) == lock.uuid()
                        await lock.release()
                        assert value_of(server, key) is None
                    else:  # told by the first renewal that is answered
                        await aeventually(lambda: not lock.is_locked(), 1.8)
                finally:
                    again.kill()
                    again.wait()

    run(main)


def test_another_server_behind_the_name(run: Run, any_server: Server, proxy: Proxy, key: str) -> None:
    async def main() -> None:
        other = start_server(any_server.kind)
        try:
            async with via(proxy) as client, Redisson(client, key=key, ex=2) as lock:
                other.admin().set(on_server(key), lock.uuid(), px=2000)  # as a replica has it
                proxy.retarget(other.host, other.port)
                proxy.cut()
                await asyncio.sleep(2.2)
                assert lock.is_locked()
                assert value_of(other, key) == lock.uuid()
            assert value_of(other, key) is None
        finally:
            other.stop()

    run(main)
