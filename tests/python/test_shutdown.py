"""How programs end: in good order and in bad, with locks held and without."""

from __future__ import annotations

import importlib.util
import re
import signal
import sys
from pathlib import Path

import pytest
from conftest import LOOPS
from support.clients import on_server, value_of
from support.programs import run_clean, run_file, run_program, start
from support.servers import Server, running_server
from support.waiting import eventually

pytestmark = pytest.mark.portable

HEAD = """
import asyncio, gc, os, signal, sys, time
import redis.asyncio
from aioredlock_c import Redisson

kind, port, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
# A numeric address: a name is looked up in the loop's executor, whose end a forked child spoils (CPython).
client = redis.asyncio.Redis(host="127.0.0.1", port=port)

def run(main):
    if kind == "uvloop":
        import uvloop
        return uvloop.run(main)
    return asyncio.run(main)
"""

# The program of aioredlock-py's README: its twenty tasks count to ten each under one lock.
README = """
import asyncio
import CLIENT
from aioredlock_c import Redisson

async def single_thread(redis):
    for _ in range(10):
        async with Redisson(redis, key="no1") as lock:
            if not lock:
                return 'Do something, failed to acquire lock'
            await redis.incr("foo")

async def main():
    redis = aioredis.from_url("URL")
    await redis.delete("redisson:no1")
    await redis.set("foo", 0)
    await asyncio.gather(*(single_thread(redis) for _ in range(20)))
    assert int(await redis.get("foo")) == 200
    END

asyncio.run(main())
"""


CLIENTS = {"redis": ("redis.asyncio as aioredis", "await redis.aclose()")}
if importlib.util.find_spec("valkey"):
    CLIENTS["valkey"] = ("valkey.asyncio as aioredis", "await redis.aclose()")
if importlib.util.find_spec("aioredis") and sys.version_info < (3, 11):
    CLIENTS["aioredis"] = ("aioredis", "pass")  # as it stands


def readme(server: Server, client: str, end: str) -> str:
    return README.replace("URL", server.url).replace("CLIENT", client).replace("END", end)


@pytest.mark.parametrize("client", list(CLIENTS))
def test_the_programme_of_the_readme_under_strict_warnings(server_kind: str, client: str) -> None:
    with running_server(server_kind) as server:
        assert run_clean(readme(server, *CLIENTS[client])) == ""
        assert server.admin().get("foo") == "200"
        assert server.admin().exists("redisson:no1") == 0


def test_the_programme_of_the_readme_with_its_imports_changed(server_kind: str) -> None:
    """Nothing closes the client here: redis-py warns of its own connections, where warnings are shown."""
    with running_server(server_kind) as server:
        done = run_program(readme(server, CLIENTS["redis"][0], "pass"), flags=())
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert server.admin().get("foo") == "200"


@pytest.mark.parametrize("kind", LOOPS)
def test_a_generator_of_the_users_holds_a_lock_at_the_end(any_server: Server, key: str, kind: str) -> None:
    source = """
async def guarded():
    async with Redisson(client, key=key) as lock:
        yield lock
        yield lock

async def main():
    generator = guarded()
    main.kept = generator
    lock = await generator.__anext__()
    assert lock.is_locked()
    await client.aclose()

run(main())
"""
    assert run_clean(HEAD + source, kind, any_server.port, key) == ""
    assert value_of(any_server, key) is None


@pytest.mark.parametrize("kind", LOOPS)
def test_held_and_waited_for_when_the_loop_ends(any_server: Server, key: str, kind: str) -> None:
    source = """
held = Redisson(client, key=key)
kept = []

async def waits():
    async with Redisson(client, key=key, retry_count=None):
        pass

async def main():
    assert await held.acquire()
    kept.append(asyncio.create_task(waits()))
    await asyncio.sleep(0.01)
    await client.aclose()

run(main())
assert not held.is_locked()
"""
    assert run_clean(HEAD + source, kind, any_server.port, key) == ""
    assert value_of(any_server, key) is None


ENDINGS = {
    "sys.exit": "sys.exit(0)",
    "os._exit": "os._exit(0)",
    "exception": "raise KeyError('the end')",
    "interrupt": "os.kill(os.getpid(), signal.SIGINT); await asyncio.sleep(1)",
    "stopped loop": "asyncio.get_running_loop().stop(); await asyncio.sleep(1)",
}
POINTS = {
    "before the connection": "t = start(lock.acquire()); await asyncio.sleep(0); {end}",
    "connecting": "t = start(lock.acquire()); await asyncio.sleep(0.001); {end}",
    "in the body": "async with lock:\n        {end}",
    "after acquire": "await lock.acquire(); {end}",
    "waiting": "await lock.acquire(); t = start(again.acquire()); await asyncio.sleep(0.01); {end}",
    "releasing": "await lock.acquire(); t = start(lock.release()); await asyncio.sleep(0); {end}",
    "used before": "async with lock: pass\n    {end}",
}


@pytest.mark.parametrize("point", list(POINTS))
@pytest.mark.parametrize("ending", list(ENDINGS))
def test_ending_at_any_point(any_server: Server, key: str, point: str, ending: str) -> None:
    source = """
lock, again = Redisson(client, key=key, ex=1), Redisson(client, key=key, retry_count=None)
start = asyncio.create_task

async def main():
    POINT

run(main())
""".replace("POINT", POINTS[point].format(end=ENDINGS[ending]))
    done = run_program(HEAD + source, "asyncio", any_server.port, key, flags=("-X", "dev"), timeout=20)
    assert done.returncode in (0, 1, 130, -signal.SIGINT), done.stderr
    assert not re.search("Fatal|Segmentation|unclosed|SystemError|Exception ignored", done.stderr), (
        done.stderr
    )
    # What could not be released, because the process was gone at once, ends with its lease.
    at_once = ending == "os._exit"
    eventually(lambda: value_of(any_server, key) is None, 1.5 if at_once else 0.5)


@pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="before 3.11 an interrupt may strike in the midst of asyncio, which then forgets to wake a task",
)
def test_ended_by_a_signal_while_many_hold_and_wait(any_server: Server, key: str) -> None:
    source = """
async def one(number):
    while True:
        async with Redisson(client, key=f"{key}-{number % 5}", ex=1, retry_count=None):
            await asyncio.sleep(0.001)

async def main():
    print("ready", flush=True)
    await asyncio.gather(*(one(number) for number in range(50)))

try:
    run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    for kind in LOOPS:
        program = start(HEAD + source, kind, any_server.port, key, flags=("-X", "dev"))
        assert program.stdout is not None and program.stdout.readline() == "ready\n"
        eventually(lambda: any(value_of(any_server, f"{key}-{n}") for n in range(5)))
        program.send_signal(signal.SIGINT)
        out, error = program.communicate(timeout=20)
        assert (program.returncode, out) == (0, "interrupted\n"), error
        assert not any(value_of(any_server, f"{key}-{n}") for n in range(5))


def test_a_bare_loop_close_only_warns(any_server: Server, key: str) -> None:
    source = """
import warnings
warnings.simplefilter("always")
loop = asyncio.new_event_loop()
lock = Redisson(client, key=key, ex=1)
assert loop.run_until_complete(lock.acquire())
loop.close()
assert lock.is_locked() in (True, False)
del lock
gc.collect()
"""
    done = run_program(HEAD + source, "asyncio", any_server.port, key, flags=("-X", "dev"))
    assert done.returncode == 0, done.stderr
    assert "Fatal" not in done.stderr and "SystemError" not in done.stderr
    categories = set(re.findall(r"(\w+Warning)", done.stderr))
    assert categories <= {"ResourceWarning"}, done.stderr
    eventually(lambda: value_of(any_server, key) is None, 1.5)


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit(0)"])
def test_a_child_after_fork_does_nothing(any_server: Server, key: str, kind: str, leave: str) -> None:
    source = """
lock = Redisson(client, key=key, ex=1)

async def main():
    async with lock:
        token = lock.uuid()
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            ok = not lock.is_locked() and lock.remaining() == 0.0
            gc.collect()
            os.write(write, b"y" if ok else b"n")
            os.close(write)
            LEAVE
        os.close(write)
        assert os.read(read, 10) == b"y"
        os.close(read)
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.5)
        assert lock.is_locked()
        probe = redis.asyncio.Redis(host="127.0.0.1", port=port)
        assert await probe.get("redisson:" + key) == token.encode()
        await probe.aclose()
        async with Redisson(client, key=key + "-parent") as other:
            assert other is not None

run(main())
print("parent done")
""".replace("LEAVE", leave)
    done = run_program(HEAD + source, kind, any_server.port, key, flags=("-X", "dev"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("parent done") == 1, done.stderr
    assert value_of(any_server, key) is None


def test_a_child_after_fork_can_lock_anew(any_server: Server, key: str) -> None:
    source = """
lock = Redisson(client, key=key, ex=2)
waited = Redisson(client, key=key, ex=2)

async def child():
    fresh = redis.asyncio.Redis(port=port)
    assert not lock.is_locked()
    # A task of the parent waits with this one, none of the child.
    assert await waited.acquire(blocking=False) is False
    assert await Redisson(fresh, key=key).acquire(blocking=False) is False
    async with Redisson(fresh, key=key + "-child") as mine:
        assert mine is not None and mine.uuid() != lock.uuid()
    # The very object and client of the parent's serve the child too.
    assert await lock.acquire(blocking=False) is False
    async with Redisson(client, key=key + "-child") as mine:
        assert mine is not None
    await fresh.aclose()

async def main():
    assert await lock.acquire()
    waiting = asyncio.create_task(waited.acquire(blocking_timeout=30))
    await asyncio.sleep(0)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            asyncio.run(child())
            code = 0
        finally:
            os._exit(code)
    while (state := os.waitpid(pid, os.WNOHANG)) == (0, 0):
        await asyncio.sleep(0.01)
    assert state[1] == 0, state
    assert lock.is_locked()
    await lock.release()
    assert await waiting
    await waited.release()

run(main())
"""
    done = run_program(HEAD + source, "asyncio", any_server.port, key, flags=("-X", "dev"))
    assert done.returncode == 0, done.stderr


WORKERS = """
import asyncio, multiprocessing, sys
import redis.asyncio
from aioredlock_c import Redisson

port, key, method = int(sys.argv[1]), sys.argv[2], sys.argv[3]
client = redis.asyncio.Redis(port=port)

async def count():
    for _ in range(10):
        async with Redisson(client, key=key, retry_count=None) as lock:
            assert lock is not None
            seen = int(await client.get(key) or 0)
            await asyncio.sleep(0)
            await client.set(key, seen + 1)
    await client.aclose()

def work():
    asyncio.run(count())

if __name__ == "__main__":
    work()  # used before the fork: preloaded, as application servers do
    context = multiprocessing.get_context(method)
    processes = [context.Process(target=work) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(any_server: Server, key: str, method: str, tmp_path: Path) -> None:
    (tmp_path / "workers.py").write_text(WORKERS)
    done = run_file(tmp_path / "workers.py", any_server.port, key, method)
    count = any_server.admin().getdel(key)
    assert (done.returncode, count) == (0, "40"), done.stderr
    assert on_server(key) not in any_server.admin().keys(on_server(key))


@pytest.mark.parametrize("kind", LOOPS)
def test_the_loop_ends_while_a_greeting_fails(any_server: Server, key: str, kind: str) -> None:
    """asyncio.run reports what tasks raise that it cancels: a dial that breaks off is not to be reported."""
    source = """
class Stubborn(redis.asyncio.Connection):
    async def connect(self, *arguments, **options):
        await super().connect(*arguments, **options)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise redis.ConnectionError("cut off") from None

pool = redis.asyncio.ConnectionPool(connection_class=Stubborn, host="127.0.0.1", port=port)
client = redis.asyncio.Redis(connection_pool=pool)

async def main():
    main.kept = asyncio.create_task(Redisson(client, key=key).acquire())
    await asyncio.sleep(0.05)

run(main())
"""
    assert run_clean(HEAD + source, kind, any_server.port, key) == ""


BARE = {
    "used": "async with lock: pass",
    "held": "assert await lock.acquire()",
    "waited for": "assert await lock.acquire(); begin(again.acquire())",
    "acquiring": "await lock.locked(); begin(lock.acquire())",
    "releasing": "assert await lock.acquire(); begin(lock.release())",
    "asking": "assert await lock.acquire(); begin(lock.extend(2)); begin(again.locked())",
}


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("point", list(BARE))
def test_a_bare_loop_close_at_any_point(any_server: Server, key: str, point: str, kind: str) -> None:
    """Nothing but the warning of the transport that nobody closed; the key ends with its ttl."""
    source = """
import warnings
warnings.simplefilter("always")
if kind == "uvloop":
    import uvloop
    loop = uvloop.new_event_loop()
else:
    loop = asyncio.new_event_loop()
lock, again = Redisson(client, key=key, ex=1), Redisson(client, key=key, ex=1, retry_count=None)
kept = []

def begin(call):
    kept.append(call)
    call.send(None)

async def main():
    POINT

loop.run_until_complete(main())
loop.close()
assert lock.is_locked() in (True, False) and lock.remaining() >= 0.0
for call in kept:
    call.close()
del lock, again
gc.collect()
""".replace("POINT", BARE[point])
    done = run_program(HEAD + source, kind, any_server.port, key, flags=("-X", "dev"))
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"(\w+Warning)", done.stderr)) <= {"ResourceWarning"}, done.stderr
    assert not re.search(
        "Fatal|SystemError|Exception ignored|Traceback|never awaited|destroyed", done.stderr
    ), done.stderr
    eventually(lambda: value_of(any_server, key) is None, 2.5)
