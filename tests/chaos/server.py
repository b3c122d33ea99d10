"""The server of a run: it is killed, started again with its data or without, and stopped for a while."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from pathlib import Path

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from support.servers import found_binaries, free_port

HOST = "127.0.0.1"
START_WITHIN = 15.0  # seconds


class ChaosServer:
    """A server of this kind with its files in `directory`; `keep`: what it answered survives its death."""

    def __init__(self, kind: str, directory: Path, keep: bool) -> None:
        self._program = found_binaries()[kind]
        self._directory = directory
        self._keep = keep
        self.kind = kind
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._admin = redis.asyncio.Redis(
            host=HOST, port=self.port, decode_responses=True, socket_timeout=2, retry=Retry(NoBackoff(), 0)
        )
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        """Returns when it answers and has read its data; RuntimeError with its log where it does not."""
        command = [self._program, "--port", str(self.port), "--bind", HOST, "--dir", str(self._directory)]
        command += ["--save", "", "--appendonly", "yes" if self._keep else "no", "--appendfsync", "always"]
        with open(self._directory / "server.log", "ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for _ in range(round(START_WITHIN / 0.01)):
            await asyncio.sleep(0.01)
            try:
                if await self._admin.ping():
                    return
            except RedisError:
                if self._process.poll() is not None:
                    break
        raise RuntimeError("the server does not start:\n" + (self._directory / "server.log").read_text())

    def kill(self) -> None:
        """Ends it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def restart(self, pause: float) -> None:
        """Kills it and starts it again, `pause` seconds later."""
        async with self._one_at_a_time:
            self.kill()
            await asyncio.sleep(pause)
            await self.start()

    async def silence(self, seconds: float) -> None:
        """Stops the process; what comes meanwhile is answered afterwards."""
        async with self._one_at_a_time:
            assert self._process is not None
            self._process.send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                self._process.send_signal(signal.SIGCONT)

    async def take(self, key: str) -> str | None:
        """Deletes a lock's key as somebody with other tools would; the token that it held, None for none."""
        try:
            token = await self._admin.getdel(f"redisson:{key}")
        except RedisError:
            return None  # it is just being restarted
        return None if token is None else str(token)

    async def keys_left(self) -> list[str]:
        """The names of all keys."""
        return sorted(map(str, await self._admin.keys()))

    async def stop(self) -> None:
        """Ends it and removes its files."""
        self.kill()
        await (self._admin.aclose() if hasattr(self._admin, "aclose") else self._admin.close())
        for left in self._directory.glob("appendonly*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
