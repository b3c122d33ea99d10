"""A server that answers what the test tells it to, right or wrong, and records what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from support.looped import HOST, Looped, command_of, reset, verb_of


@dataclass(frozen=True)
class Drip:
    """These bytes, one at a time, with a turn of the loop between."""

    data: bytes


@dataclass(frozen=True)
class Pause:
    """Seconds of silence before the next step."""

    seconds: float


CLOSE = object()  # ends the connection with FIN
RESET = object()  # ends it with RST

# An answer is bytes, a list of steps (bytes, Drip, Pause, CLOSE, RESET) or None: silence.
Answer = object


@dataclass(frozen=True)
class Asked:
    """A command that came, at a time of time.monotonic(), over the n-th connection (from 1)."""

    at: float
    connection: int
    verb: str
    words: list[bytes]


GREETINGS = {"CLIENT": b"+OK\r\n", "SELECT": b"+OK\r\n", "AUTH": b"+OK\r\n", "PING": b"+PONG\r\n"}
# How a well-behaved server answers when nobody holds anything but us.
GOOD = {"TRY": b"+OK\r\n", "RENEW": b":1\r\n", "RELEASE": b":1\r\n", "PEEK": b":-2\r\n"}


class ScriptedServer(Looped):
    """For the length of a `with` block: `script(asked)` gives the answer to each command of a lock.

    What clients say in greeting is answered as a server does. `first` is said to each connection unasked,
    `more` in one write with the answer to the last word of the greeting (the library's version).
    """

    def __init__(self, script: Callable[[Asked], Answer], first: Answer = None, more: bytes = b"") -> None:
        self._script = script
        self._first = first
        self._more = more
        self._writers: set[asyncio.StreamWriter] = set()
        self.host = HOST
        self.port = 0
        self.opened = 0
        self.deaf = False  # answers nothing, not even what clients say in greeting
        self.asked: list[Asked] = []

    @property
    def live(self) -> int:
        """Connections that are open now."""
        return len(self._writers)

    def of(self, verb: str) -> list[Asked]:
        return [asked for asked in list(self.asked) if asked.verb == verb]

    def say(self, data: bytes) -> None:
        """Says this to every connection, unasked."""

        async def now() -> None:
            for writer in self._writers:
                writer.write(data)

        self.call(now)

    async def begin(self) -> None:
        self._listener = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def finish(self) -> None:
        self._listener.close()
        for writer in list(self._writers):
            reset(writer)
        await self.all_served()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serves()
        self.opened += 1
        number = self.opened
        self._writers.add(writer)
        rest = bytearray()
        try:
            with contextlib.suppress(OSError):
                going = await self._answer(writer, self._first)
                while going and (chunk := await reader.read(65536)):
                    rest += chunk
                    while going and (words := command_of(rest)) is not None:
                        asked = Asked(time.monotonic(), number, verb_of(words), words)
                        self.asked.append(asked)
                        answer = GREETINGS.get(asked.verb) or self._script(asked)
                        if self._more and isinstance(answer, bytes) and b"LIB-VER" in words:
                            answer += self._more
                        going = self.deaf or await self._answer(writer, answer)
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, writer: asyncio.StreamWriter, answer: Answer) -> bool:
        """Makes the steps of an answer; False when it has ended the connection."""
        for step in answer if isinstance(answer, list) else [answer]:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif isinstance(step, Drip):
                for at in range(len(step.data)):
                    writer.write(step.data[at : at + 1])
                    await asyncio.sleep(0.001)
            elif isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            elif step is CLOSE:
                return False
            elif step is RESET:
                reset(writer)
                return False
        return True
