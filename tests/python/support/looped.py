"""A helper with a loop of its own in a thread of its own, whatever the loop of the test does."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
S = TypeVar("S", bound="Looped")

HOST = "127.0.0.1"
PATIENCE = 10.0  # seconds within which the helper's loop must answer


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection as a crash does: the other side gets RST."""
    link = writer.get_extra_info("socket")
    if link is not None and link.fileno() >= 0:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def command_of(buffer: bytearray) -> list[bytes] | None:
    """Takes one whole command (an array of bulk strings) off the buffer; None where there is none yet."""
    if not buffer.startswith(b"*") or (end := buffer.find(b"\r\n")) < 0:
        return None
    words = []
    at = end + 2
    for _ in range(int(buffer[1:end])):
        if (end := buffer.find(b"\r\n", at)) < 0:
            return None
        length = int(buffer[at + 1 : end])
        if len(buffer) < end + 2 + length + 2:
            return None
        words.append(bytes(buffer[end + 2 : end + 2 + length]))
        at = end + 2 + length + 2
    del buffer[:at]
    return words


def verb_of(words: list[bytes]) -> str:
    """What a command is in our words: TRY, RENEW, RELEASE or PEEK; else the command's own name."""
    name = words[0].decode().upper()
    if name in ("EVAL", "EVALSHA"):
        return "RENEW" if len(words) == 6 else "RELEASE"
    return {"SET": "TRY", "PTTL": "PEEK"}.get(name, name)


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A client that breaks off, in the middle of a TLS greeting too, is what these helpers are for."""
    if not isinstance(context.get("exception"), OSError):
        loop.default_exception_handler(context)


class Looped:
    """Runs `main` in its thread between `__enter__` and `__exit__`."""

    _serving: set[asyncio.Task[Any]]

    def __enter__(self: S) -> S:
        self._serving = set()
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_report)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.call(self.begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.call(self.finish)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    def call(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs a coroutine function on the helper's loop and waits for its result."""
        return asyncio.run_coroutine_threadsafe(function(), self._loop).result(PATIENCE)

    def serves(self) -> None:
        """The current task serves a connection."""
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def all_served(self) -> None:
        """Waits until the tasks that serve connections, which are all closing, have ended."""
        if self._serving:
            await asyncio.wait(self._serving, timeout=PATIENCE / 2)

    async def begin(self) -> None:
        raise NotImplementedError

    async def finish(self) -> None:
        raise NotImplementedError
