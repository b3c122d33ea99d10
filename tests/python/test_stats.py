"""stats(): what the locks of a loop have done through one pool."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from typing import Any

import pytest
import redis.asyncio
from conftest import Run
from support.clients import Client, client_of, free, held_by_another, make_client
from support.losing import outlive
from support.proxied import cut_and_await, proxy_before, via
from support.servers import Server
from support.waiting import aeventually, turns

from aioredlock_c import LockLostError, Redisson, aclose, stats

NAMES = [
    *("acquired", "handed_off", "released", "given_up", "waiting_now", "held_now", "tries", "renewals"),
    *("renewed_elsewhere", "lost", "reconnects", "bytes_in", "bytes_out"),
]
BRISK: dict[str, Any] = {"sleeptime_l": 0, "sleeptime_h": 0}


def expect(client: object, **expected: int) -> None:
    """These counters stand so, and all others but those of bytes are zero."""
    now = stats(client)
    assert {name: count for name, count in now.items() if count and not name.startswith("bytes")} == {
        name: count for name, count in expected.items() if count
    }


def test_zeros_before_the_first_use(run: Run, any_server: Server) -> None:
    async def main(redis: Client) -> None:
        assert stats(redis) == dict.fromkeys(NAMES, 0)
        assert list(stats(redis)) == NAMES
        assert all(type(count) is int for count in stats(redis).values())
        Redisson(redis).is_locked()
        assert stats(redis) == dict.fromkeys(NAMES, 0)

    run(main, any_server)


def test_what_is_no_client(run: Run) -> None:
    async def main() -> None:
        for bad in (None, object(), "redis", 7):
            with pytest.raises(TypeError):
                stats(bad)

    run(main)
    with pytest.raises(RuntimeError, match="running event loop"):
        stats(redis.asyncio.Redis(port=1))


def test_a_hold_from_its_beginning_to_its_end(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        acquiring = asyncio.create_task(lock.acquire())
        await turns(1)
        expect(redis, waiting_now=1)
        assert await acquiring
        expect(redis, tries=1, acquired=1, held_now=1)
        await lock.release()
        expect(redis, tries=1, acquired=1, released=1)
        async with lock:
            expect(redis, tries=2, acquired=2, released=1, held_now=1)
        expect(redis, tries=2, acquired=2, released=2)
        seen = stats(redis)
        assert await lock.locked() is False
        assert {name for name in NAMES if stats(redis)[name] != seen[name]} == {"bytes_in", "bytes_out"}

    run(main, server)


def test_waiting_handing_on_and_giving_up(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async def one() -> None:
            async with Redisson(redis, key=key, retry_count=None):
                await turns(2)

        async with Redisson(redis, key=key):
            tasks = [asyncio.create_task(one()) for _ in range(4)]
            await turns(2)
            expect(redis, tries=1, acquired=1, held_now=1, waiting_now=4)
            assert not await Redisson(redis, key=key).acquire(blocking=False)
            assert not await Redisson(redis, key=key, retry_count=2, **BRISK).acquire()
            assert not await Redisson(redis, key=key, blocking_timeout=0.01).acquire()
            assert not await Redisson(redis, key=key, retry_count=0).acquire()
            expect(redis, tries=1, acquired=1, held_now=1, waiting_now=4, given_up=4)
            cancelled = tasks.pop()
            cancelled.cancel()
            await asyncio.wait([cancelled])
            expect(redis, tries=1, acquired=1, held_now=1, waiting_now=3, given_up=4)
        await asyncio.gather(*tasks)
        now = stats(redis)
        assert (now["acquired"], now["released"], now["given_up"]) == (4, 4, 4)
        # Some turns may have ended meanwhile; what was not handed on was asked for.
        assert now["handed_off"] + now["tries"] >= 4 and now["handed_off"] > 0

    run(main, any_server)


def test_tries_that_fail_and_errors(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        held_by_another(any_server, key)
        assert not await Redisson(redis, key=key, retry_count=3, **BRISK).acquire()
        expect(redis, tries=3, given_up=1)
        free(any_server, key)

    run(main, any_server)

    async def unreachable() -> None:
        client = redis.asyncio.Redis(port=1)
        with pytest.raises(redis.exceptions.ConnectionError):
            await Redisson(client, key=key).acquire()
        expect(client)

    run(unreachable)


def test_renewals(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key, ex=0.15) as lock:
            assert lock is not None
            await asyncio.sleep(0.5)
            lock.ensure_held()
        now = stats(redis)
        assert 7 <= now["renewals"] + now["renewed_elsewhere"] <= 20
        before = stats(redis)["renewals"]
        async with Redisson(redis, key=key, ex=30) as lock:
            assert lock is not None
            await lock.extend(60)
        assert stats(redis)["renewals"] == before

    run(main, any_server)


def test_renewals_of_a_loop_that_stands_still(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key, ex=0.4) as lock:
            assert lock is not None
            time.sleep(1.2)
            assert lock.is_locked()
            assert stats(redis)["renewed_elsewhere"] >= 2  # before the loop has turned
        assert stats(redis)["lost"] == 0

    run(main, any_server)


def test_a_loss_counts_once_however_it_is_found(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, ex=0.2, stall_limit=0)
        assert await lock.acquire()
        outlive(lock)
        for _ in range(3):
            assert not lock.is_locked()
        with pytest.raises(LockLostError):
            await lock.release()
        await turns(3)
        expect(redis, tries=1, acquired=1, lost=1)

        assert await lock.acquire()  # found by the release, by time
        outlive(lock)
        with pytest.raises(LockLostError):
            await lock.release()
        expect(redis, tries=2, acquired=2, lost=2)

        lock = Redisson(redis, key=key)
        assert await lock.acquire()  # found by the server's answer to the release
        held_by_another(any_server, key)
        with pytest.raises(LockLostError):
            await lock.release()
        expect(redis, tries=3, acquired=3, lost=3, released=1)
        free(any_server, key)

    run(main, any_server)


def test_all_is_kept_over_reconnects(run: Run, any_server: Server, key: str) -> None:
    async def main() -> None:
        with proxy_before(any_server) as proxy:
            async with via(proxy) as client:
                async with Redisson(client, key=key) as lock:
                    assert lock is not None
                    expect(client, tries=1, acquired=1, held_now=1)
                    for count in (1, 2):
                        seen = stats(client)
                        await cut_and_await(proxy)
                        await aeventually(lambda count=count: stats(client)["reconnects"] == count)  # type: ignore[misc]
                        now = stats(client)
                        assert all(now[name] >= seen[name] for name in NAMES), (seen, now)
                    assert lock.is_locked()
                now = stats(client)
                assert (now["tries"], now["acquired"], now["released"], now["lost"]) == (1, 1, 1, 0)

    run(main)


def test_all_is_kept_when_the_connection_was_closed(run: Run, any_server: Server, key: str) -> None:
    """By the program or for being idle: what follows counts on."""

    async def main(redis: Client) -> None:
        for count in (1, 2, 3):
            async with Redisson(redis, key=key):
                pass
            expect(redis, tries=count, acquired=count, released=count)
            seen = stats(redis)
            assert seen["bytes_in"] > 0 and seen["bytes_out"] > 0
            await aclose(redis)
            assert stats(redis) == seen
        lock = Redisson(redis, key=key)
        assert await lock.acquire()
        await aclose(redis)
        expect(redis, tries=4, acquired=4, released=4)

    run(main, any_server)


def test_bytes_are_those_on_the_wire(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key):  # the scripts are known from here on
            pass
        before = stats(redis)
        lock = Redisson(redis, key=key, ex=10)
        assert await lock.acquire()
        acquired = stats(redis)
        name = f"redisson:{key}"
        words = ["SET", name, lock.uuid(), "NX", "PX", "10000"]
        sent = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        assert acquired["bytes_out"] - before["bytes_out"] == len(sent)
        assert acquired["bytes_in"] - before["bytes_in"] == len("+OK\r\n")
        await lock.release()
        assert stats(redis)["bytes_in"] - acquired["bytes_in"] == len(":1\r\n")

    run(main, any_server)


def test_each_pool_and_each_loop_has_its_own(any_server: Server, key: str) -> None:
    """Clients of one pool share them; loops in other threads do not."""
    both = threading.Barrier(2, timeout=20)
    client = make_client(any_server)
    failures: list[BaseException] = []

    async def main(number: int) -> None:
        for _ in range(number):
            async with Redisson(client, key=f"{key}-{number}"):
                pass
        both.wait()
        expect(client, tries=number, acquired=number, released=number)
        shared = redis.asyncio.Redis(connection_pool=client.connection_pool)
        expect(shared, tries=number, acquired=number, released=number)
        async with client_of(any_server) as other:
            expect(other)
        both.wait()

    def thread(number: int) -> None:
        try:
            asyncio.run(main(number))
        except BaseException as error:
            failures.append(error)
            both.abort()

    threads = [threading.Thread(target=thread, args=(number,)) for number in (1, 3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []


def test_what_is_kept_keeps_neither_the_pool_nor_the_loop(any_server: Server, key: str) -> None:
    async def main() -> list[weakref.ref[Any]]:
        client = make_client(any_server)
        async with Redisson(client, key=key):
            pass
        await aclose(client)
        assert stats(client)["acquired"] == 1
        return [weakref.ref(client.connection_pool), weakref.ref(asyncio.get_running_loop())]

    references = asyncio.run(main())
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_the_answer_is_a_dict_of_ones_own(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key):
            pass
        await aclose(redis)
        mine = stats(redis)
        mine.clear()
        assert stats(redis)["acquired"] == 1

    run(main, any_server)
