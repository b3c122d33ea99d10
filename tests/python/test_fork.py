"""Workers forked from a process that has used locks already, as application servers fork them."""

from __future__ import annotations

import pytest
from conftest import keys_left
from support.programs import run_clean
from support.servers import Server
from support.waiting import eventually

pytestmark = pytest.mark.portable

# What the master imports and runs before it forks; the client's module is the application's, loaded once.
HEAD = """
import asyncio, gc, os, sys, threading, time, warnings
import redis.asyncio
from aioredlock_c import Redisson

kind, port, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
client = redis.asyncio.Redis(host="127.0.0.1", port=port)
# CPython warns of a fork beside threads: where the program itself has one, that is its own affair.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

def run(main):
    if kind == "uvloop":
        import uvloop
        return uvloop.run(main)
    return asyncio.run(main)

async def count(using, times=10):
    for _ in range(times):
        async with Redisson(using, key=key, retry_count=None) as lock:
            assert lock is not None and lock.is_locked()
            seen = int(await using.get(key) or 0)
            await asyncio.sleep(0)
            await using.set(key, seen + 1)

def forked(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return pid

def all_well(pids):
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0, pid

async def work(using):
    await count(using)
    await using.aclose()
"""


@pytest.mark.parametrize("made", ["before", "after"])
def test_workers_of_a_preloaded_application(any_server: Server, key: str, loop_kind: str, made: str) -> None:
    """The master's loop has ended; the client is the master's, or each worker makes its own."""
    source = """
async def preload():
    await count(client, 3)
    await client.aclose()

run(preload())
def worker():
    run(work(client if MADE else redis.asyncio.Redis(host="127.0.0.1", port=port)))

all_well([forked(worker) for _ in range(4)])
run(work(client))  # the master goes on, too
""".replace("MADE", str(made == "before"))
    assert run_clean(HEAD + source, loop_kind, any_server.port, key) == ""
    assert any_server.admin().getdel(key) == str(3 + 4 * 10 + 10)


def test_workers_that_are_forked_again_and_again(any_server: Server, key: str, loop_kind: str) -> None:
    """A worker forks workers of its own after it has used the lock."""
    source = """
def grandchild():
    run(work(client))

def child():
    run(count_and_close())
    all_well([forked(grandchild) for _ in range(2)])
    run(work(client))

async def count_and_close():
    await count(client, 2)
    await client.aclose()

all_well([forked(child) for _ in range(2)])
"""
    assert run_clean(HEAD + source, loop_kind, any_server.port, key) == ""
    assert any_server.admin().getdel(key) == str(2 * (2 + 2 * 10 + 10))


def test_a_fork_beside_a_loop_that_holds_in_another_thread(
    any_server: Server, key: str, loop_kind: str
) -> None:
    """The child holds nothing and locks anew; the parent's loop, in its thread, notices nothing."""
    source = """
held = Redisson(client, key=key + "-held", ex=1)
ready, done = threading.Event(), threading.Event()

async def hold():
    async with held:
        token = held.uuid()
        ready.set()
        while not done.is_set():
            assert held.is_locked() and held.uuid() == token
            await asyncio.sleep(0.01)
        await held.extend(5)
    await client.aclose()

thread = threading.Thread(target=lambda: run(hold()))
thread.start()
assert ready.wait(10)

async def child():
    assert not held.is_locked() and held.remaining() == 0.0
    mine = redis.asyncio.Redis(host="127.0.0.1", port=port)
    assert await Redisson(mine, key=key + "-held").acquire(blocking=False) is False
    assert await Redisson(client, key=key + "-held").acquire(blocking=False) is False
    await work(mine)
    await client.aclose()

all_well([forked(lambda: run(child())) for _ in range(3)])
time.sleep(1.2)  # longer than the lease: somebody must have renewed it
done.set()
thread.join()
"""
    assert run_clean(HEAD + source, loop_kind, any_server.port, key) == ""
    assert any_server.admin().getdel(key) == "30"
    eventually(lambda: not keys_left(any_server, key))


def test_a_child_that_lets_go_of_all_that_the_parent_had_sends_nothing(
    any_server: Server, key: str, loop_kind: str
) -> None:
    """Collected, closed and ended in the child: locks that are held, calls that wait, clients, the loop."""
    source = """
async def main():
    bag = [client]
    held = [Redisson(client, key=f"{key}-{n}", ex=2) for n in range(5)]
    assert all(await asyncio.gather(*(lock.acquire() for lock in held)))
    tokens = [lock.uuid() for lock in held]
    waits = [Redisson(client, key=f"{key}-{n}", retry_count=None).acquire() for n in range(5)]
    for call in waits:
        call.send(None)
    tasks = [asyncio.create_task(Redisson(client, key=f"{key}-0", retry_count=None).acquire())]
    await asyncio.sleep(0)
    def let_go():
        waits.pop().close()
        waits.clear()
        held.clear()
        bag.clear()
        gc.collect()
    pids = [forked(let_go) for _ in range(3)]
    while pids:
        pids = [pid for pid in pids if os.waitpid(pid, os.WNOHANG) == (0, 0)]
        await asyncio.sleep(0.01)
    probe = redis.asyncio.Redis(host="127.0.0.1", port=port)
    for n, (lock, token) in enumerate(zip(held, tokens)):
        assert lock.is_locked() and await probe.get(f"redisson:{key}-{n}") == token.encode()
        await lock.extend(3)
    await probe.aclose()
    for call in waits:
        call.close()
    tasks[0].cancel()
    await asyncio.gather(*(lock.release() for lock in held))
    await client.aclose()

run(main())
"""
    assert run_clean(HEAD + source, loop_kind, any_server.port, key) == ""
    eventually(lambda: not keys_left(any_server, key))
