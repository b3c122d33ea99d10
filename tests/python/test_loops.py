"""Loops one after another and side by side, servers and clients side by side, one connection for each."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Run, run_on_loop
from support.clients import Client, client_of, connections, make_client, value_of
from support.servers import Server
from support.waiting import aeventually, eventually

from aioredlock_c import Redisson, aclose

pytestmark = pytest.mark.portable


def in_threads(bodies: list[Callable[[], Any]]) -> None:
    """Runs each body in a thread of its own; the first exception is raised here."""
    errors: list[BaseException] = []

    def guarded(body: Callable[[], Any]) -> None:
        try:
            body()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_run_again_and_again_with_one_object(loop_kind: str, any_server: Server, key: str) -> None:
    client = make_client(any_server)
    lock = Redisson(client, key=key)
    before = connections(any_server)
    tokens = set()

    async def main() -> None:
        async with lock as entered:
            assert entered is lock and value_of(any_server, key) == lock.uuid()
            tokens.add(lock.uuid())

    for _ in range(5):
        run_on_loop(loop_kind, main)
        assert value_of(any_server, key) is None
        eventually(lambda: connections(any_server) == before, 2, "the loop's end left a connection open")
    assert len(tokens) == 5


def test_asyncio_run_takes_an_awaitable_of_ours(loop_kind: str, any_server: Server, key: str) -> None:
    client = make_client(any_server)
    lock = Redisson(client, key=key)
    # What is held when the loop ends is released by the drain.
    assert run_on_loop(loop_kind, lock.acquire) is True
    assert value_of(any_server, key) is None
    assert lock.is_locked() is False
    assert run_on_loop(loop_kind, lock.locked) is False


def test_loops_in_threads_on_two_servers(
    loop_kind: str, any_server: Server, other_server: Server, key: str
) -> None:
    counts = {id(any_server): 0, id(other_server): 0}

    def body(server: Server) -> None:
        async def main() -> None:
            async with client_of(server) as client:

                async def one() -> None:
                    for _ in range(5):
                        async with Redisson(client, key=key, retry_count=None) as lock:
                            assert lock is not None and value_of(server, key) == lock.uuid()
                            seen = counts[id(server)]
                            await asyncio.sleep(0.001)
                            counts[id(server)] = seen + 1

                await asyncio.gather(*(one() for _ in range(4)))

        run_on_loop(loop_kind, main)

    servers = [any_server, other_server, any_server, other_server]
    in_threads([lambda server=server: body(server) for server in servers])  # type: ignore[misc]
    assert set(counts.values()) == {40}


def test_one_object_held_on_one_loop_raises_on_another(loop_kind: str, any_server: Server, key: str) -> None:
    client = make_client(any_server)
    lock = Redisson(client, key=key)

    async def elsewhere() -> None:
        for attempt in (lock.acquire, lock.__aenter__, lock.release):
            with pytest.raises(RuntimeError):
                await attempt()
        with pytest.raises(RuntimeError):
            await lock.extend(5)

    async def main() -> None:
        async with lock:
            token = lock.uuid()
            await asyncio.get_running_loop().run_in_executor(
                None, in_threads, [lambda: run_on_loop(loop_kind, elsewhere)]
            )
            assert lock.is_locked() and lock.uuid() == token == value_of(any_server, key)
        assert value_of(any_server, key) is None

    run_on_loop(loop_kind, main)


def test_one_object_waited_for_on_one_loop_raises_on_another(
    loop_kind: str, any_server: Server, key: str
) -> None:
    client = make_client(any_server)
    lock = Redisson(client, key=key, retry_count=None)

    async def elsewhere() -> None:
        with pytest.raises(RuntimeError):
            await lock.acquire()

    async def main() -> None:
        async with Redisson(client, key=key):
            waiting = asyncio.create_task(lock.acquire())
            await asyncio.sleep(0)
            await asyncio.get_running_loop().run_in_executor(
                None, in_threads, [lambda: run_on_loop(loop_kind, elsewhere)]
            )
            assert not waiting.done()
        assert await waiting is True
        await lock.release()

    run_on_loop(loop_kind, main)


def test_two_servers_two_clients_one_process(
    run: Run, any_server: Server, other_server: Server, key: str
) -> None:
    async def main() -> None:
        async with client_of(any_server) as one, client_of(other_server) as two:
            async with Redisson(one, key=key) as first:
                assert first is not None
                assert (value_of(any_server, key), value_of(other_server, key)) == (first.uuid(), None)
                async with Redisson(two, key=key) as second:
                    assert second is not None
                    assert value_of(any_server, key) == first.uuid()
                    assert value_of(other_server, key) == second.uuid() != first.uuid()
                assert (value_of(any_server, key), value_of(other_server, key)) == (first.uuid(), None)

    run(main)


def test_two_databases_of_one_server(run: Run, any_server: Server, key: str) -> None:
    async def main() -> None:
        async with client_of(any_server, db=0) as one, client_of(any_server, db=1) as two:
            async with Redisson(one, key=key) as first, Redisson(two, key=key) as second:
                assert first is not None and second is not None
                assert await one.get(f"redisson:{key}") == first.uuid().encode()
                assert await two.get(f"redisson:{key}") == second.uuid().encode()
            assert await two.exists(f"redisson:{key}") == 0

    run(main)


def test_one_connection_for_a_pool_and_a_loop(run: Run, any_server: Server, key: str) -> None:
    async def main() -> None:
        before = connections(any_server)
        async with client_of(any_server) as client:
            sharing = Client(connection_pool=client.connection_pool)
            locks = [Redisson(user, key=f"{key}-{n}") for n in range(50) for user in (client, sharing)]
            results = await asyncio.gather(*(lock.acquire() for lock in locks[::2]))
            assert results == [True] * 50
            # Same keys through the other client: they wait in this process.
            assert not any(await asyncio.gather(*(lock.acquire(False) for lock in locks[1::2])))
            assert connections(any_server) == before + 1
            await asyncio.gather(*(lock.release() for lock in locks[::2]))

    run(main)


def test_our_connection_does_not_count_against_the_pool(run: Run, any_server: Server, key: str) -> None:
    async def main(client: Client) -> None:
        await client.ping()  # the one connection that the pool may have
        async with Redisson(client, key=key) as lock:
            assert lock is not None
            assert await client.get(f"redisson:{key}") == lock.uuid().encode()

    run(main, any_server, max_connections=1)


def test_our_connection_closes_when_its_client_is_gone(run: Run, any_server: Server, key: str) -> None:
    async def main() -> None:
        before = connections(any_server)
        client = make_client(any_server)
        async with Redisson(client, key=key):
            assert connections(any_server) == before + 1
        del client
        gc.collect()  # redis-py's own objects may refer to each other
        await aeventually(lambda: connections(any_server) == before, 3)

    run(main)


def test_threads_close_only_what_is_theirs(loop_kind: str, any_server: Server, key: str) -> None:
    client = make_client(any_server)

    async def elsewhere() -> None:
        async with Redisson(client, key=f"{key}-elsewhere"):
            await aclose(client)

    async def main() -> None:
        lock = Redisson(client, key=key)
        async with lock:
            await asyncio.get_running_loop().run_in_executor(
                None, in_threads, [lambda: run_on_loop(loop_kind, elsewhere)]
            )
            assert lock.is_locked() and value_of(any_server, key) == lock.uuid()
            await lock.extend(20)

    run_on_loop(loop_kind, main)


def test_a_loop_in_debug_mode(loop_kind: str, any_server: Server, key: str) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_debug(True)
        async with client_of(any_server) as client:

            async def one() -> None:
                async with Redisson(client, key=key, retry_count=None) as lock:
                    assert lock is not None
                    await asyncio.sleep(0)

            await asyncio.gather(*(one() for _ in range(20)))

    run_on_loop(loop_kind, main)


def test_one_object_is_not_acquired_twice_while_its_connection_is_made(
    loop_kind: str, any_server: Server, key: str
) -> None:
    lock = Redisson(make_client(any_server), key=key)
    first: list[Any] = []

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()

        def create_future() -> Any:  # Python code in the midst of acquire(): so another thread may run
            del loop.create_future
            first.append(lock.acquire())
            first[0].send(None)
            return loop.create_future()

        loop.create_future = create_future
        with pytest.raises(RuntimeError, match="in use"):
            await lock.acquire()
        first.pop().close()
        async with lock as again:
            assert again is lock

    run_on_loop(loop_kind, main)


def test_what_a_closed_loop_leaves_is_collected(any_server: Server, key: str) -> None:
    """A turn was asked for when the loop closed: who is to be woken in it must not be kept for ever."""

    def leave() -> weakref.ref[Redisson]:
        loop = asyncio.new_event_loop()
        client = make_client(any_server)
        waits = Redisson(client, key=key)
        begun: list[Any] = []

        def begin(lock: Redisson) -> None:
            begun.append(lock.acquire())
            begun[-1].send(None)

        async def main() -> None:
            async with Redisson(client, key=key, ex=0.5):
                await asyncio.sleep(0)  # a turn in which no task is woken: the second TRY waits for its end
                begin(Redisson(client, key=key))
                begin(waits)
                begin(Redisson(client, key=key + "-2", ex=0.5))
                begin(Redisson(client, key=key + "-3", ex=0.5))
            loop.stop()

        task = loop.create_task(main())
        loop.run_forever()
        loop.close()
        assert task.done()
        begun[0].close()  # was given the lock, and passes it on
        return weakref.ref(waits)

    with pytest.warns(ResourceWarning):  # of the transport
        gone = leave()
        gc.collect()
    assert gone() is None
