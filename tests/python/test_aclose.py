"""aclose(client): what this loop holds through the client is released, our connections close now."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from conftest import Run
from support.clients import Client, client_of, connections, free, held_by_another, value_of
from support.servers import Server
from support.waiting import aeventually, turns

from aioredlock_c import Redisson, aclose

pytestmark = pytest.mark.portable


def test_what_is_held_is_released_and_the_connection_closed(run: Run, server: Server, key: str) -> None:
    async def main() -> None:
        before = connections(server)
        async with client_of(server) as redis:
            locks = [Redisson(redis, key=f"{key}-{number}") for number in range(10)]
            assert await asyncio.gather(*(lock.acquire() for lock in locks)) == [True] * 10
            assert connections(server) == before + 1
            await aclose(redis)
            assert [value_of(server, lock.key) for lock in locks] == [None] * 10
            assert not any(lock.is_locked() for lock in locks)
            await aeventually(lambda: connections(server) == before, 1)

    run(main)


def test_unused_and_again(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        assert await aclose(redis) is None  # type: ignore[func-returns-value]
        for _ in range(3):  # a client closed so can be used again
            async with Redisson(redis, key=key) as lock:
                assert lock is not None and value_of(any_server, key) == lock.uuid()
            await aclose(redis)
            await aclose(redis)

    run(main, any_server)


def test_within_a_body(run: Run, any_server: Server, key: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key) as lock:
            assert lock is not None
            await aclose(redis)
            assert not lock.is_locked() and value_of(any_server, key) is None
        async with lock:
            assert value_of(any_server, key) == lock.uuid()

    with caplog.at_level(logging.WARNING, "aioredlock_c"):
        run(main, any_server)


def test_who_waits_is_told(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        held_by_another(any_server, key)
        task = asyncio.create_task(Redisson(redis, key=key, retry_count=None).acquire())
        await turns(10)
        await aclose(redis)
        await asyncio.wait([task], timeout=2)
        assert task.done() and not task.cancelled()
        assert isinstance(task.exception(), Exception)
        free(any_server, key)

    run(main, any_server)


def test_other_clients_of_the_loop_go_on(run: Run, any_server: Server, key: str) -> None:
    async def main() -> None:
        async with client_of(any_server) as one, client_of(any_server) as two:
            async with Redisson(two, key=key) as lock:
                assert lock is not None
                async with Redisson(one, key=f"{key}-one"):
                    pass
                await aclose(one)
                assert lock.is_locked() and value_of(any_server, key) == lock.uuid()
                await lock.extend(20)

    run(main)


@pytest.mark.parametrize(
    "rubbish", [None, "redis://localhost", object(), 5], ids=["None", "str", "object", "int"]
)
def test_rubbish(run: Run, rubbish: Any) -> None:
    async def main() -> None:
        with pytest.raises(TypeError):
            await aclose(rubbish)

    run(main)
