"""A loop that is let go of, neither run to its end nor closed, takes all of ours with it."""

from __future__ import annotations

import gc

import pytest
from conftest import Run
from support.clients import Client
from support.programs import run_program
from support.servers import Server
from support.waiting import eventually

from aioredlock_c import Redisson, _core

ABANDONED = """
import asyncio, gc, sys, time, weakref
import redis.asyncio
from aioredlock_c import Redisson

async def begin(client, key):
    holder, brief = Redisson(client, key=key), Redisson(client, key=f"{key}-brief", ex=0.1, stall_limit=0)
    assert await holder.acquire() and await brief.acquire()
    waiting = [asyncio.ensure_future(Redisson(client, key=key).acquire()) for _ in range(3)]
    await asyncio.sleep(0.01)
    return holder, brief, waiting

def main(port, key, moment):
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    client = redis.asyncio.Redis(port=port)
    holder, brief, waiting = loop.run_until_complete(begin(client, key))
    alive = [weakref.ref(loop), weakref.ref(client.connection_pool)]
    if moment != "waiting":
        del holder  # handed on to the first waiter, which is to be told in the next turn
        gc.collect()
    if moment == "woken":
        time.sleep(0.11)
        assert not brief.is_locked()  # a look takes all the news
    asyncio.set_event_loop(None)
    return alive

alive = main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
for _ in range(3):
    gc.collect()
print([reference() is None for reference in alive])
"""


@pytest.mark.parametrize("moment", ["waiting", "granted", "woken"])
def test_it_is_collected_with_its_locks_and_waiters(any_server: Server, key: str, moment: str) -> None:
    done = run_program(ABANDONED, any_server.port, key, moment, flags=())
    assert (done.returncode, done.stdout) == (0, "[True, True]\n"), done.stderr
    eventually(lambda: any_server.admin().delete(f"redisson:{key}", f"redisson:{key}-brief") == 0)


def test_a_connection_keeps_the_module_that_lists_it(run: Run, any_server: Server, key: str) -> None:
    # Its type does too, but a program that ends with a lock held has the type cleared before the connection.
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key):
            connection = _core.connection_of(redis.connection_pool)
            assert connection is not None
            assert any(held is _core for held in gc.get_referents(connection))

    run(main, any_server)
