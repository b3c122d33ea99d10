"""A proxy between client and server that delays, holds back, swallows, cuts, refuses and counts.

Its switches are attributes that a test sets at any time; what happened is in attributes that a test polls
(support.waiting) or in the `done` events of the cuts it ordered.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from support.looped import HOST, Looped, command_of, reset, verb_of


@dataclass
class Cut:
    """One cut that was ordered. `done` is set when it was made.

    verb: the command (support.looped.verb_of) at which to cut; skip: how many such commands pass before.
    keep: bytes of its reply that still pass; None: all of them; -1: the command does not reach the server.
    """

    verb: str
    keep: int | None
    skip: int
    fin: bool
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Request:
    """A command that came by, at a time of time.monotonic()."""

    at: float
    verb: str
    words: list[bytes]


def reply_length(buffer: bytes | bytearray, at: int = 0) -> int | None:
    """Bytes of the whole RESP2 reply that begins at `at`; None where its end has not come yet."""
    end = buffer.find(b"\r\n", at)
    if end < 0:
        return None
    kind, after = buffer[at : at + 1], end + 2
    if kind == b"$" and (length := int(buffer[at + 1 : end])) >= 0:
        after += length + 2
    if kind == b"*":
        for _ in range(int(buffer[at + 1 : end])):
            inner = reply_length(buffer, after)
            if inner is None:
                return None
            after += inner
    return after - at if after <= len(buffer) else None


class _Link:
    """One client's connection and ours to the server."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.unanswered: deque[str] = deque()
        self.gone = False
        self.held = False  # what comes is kept, also when the client has given the connection up

    def cut(self, fin: bool) -> None:
        self.gone = True
        if fin:
            self.client.close()
        else:
            reset(self.client)
        self.server.close()


_Take = Callable[[_Link, bytearray], Awaitable[bool]]


class Proxy(Looped):
    """Forwards `host:port`, for the length of a `with` block, to the server at (target_host, target_port)."""

    def __init__(self, target_host: str, target_port: int, tls: ssl.SSLContext | None = None) -> None:
        self._target = (target_host, target_port)
        self._tls = tls
        self._links: set[_Link] = set()
        self._cuts: list[Cut] = []
        self._listener: asyncio.Server | None = None
        self.host = HOST
        self.port = 0
        self.opened = 0  # connections taken so far
        self.requests: list[Request] = []
        self.delay = 0.0  # seconds that each reply is late
        self.hold_requests = False  # what comes is kept, in order, until this is False
        self.hold_replies = False
        self.swallow = False  # all that comes vanishes; connections stay open

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    @property
    def live(self) -> int:
        """Connections that are open now."""
        return len(self._links)

    def of(self, verb: str) -> list[Request]:
        """The commands of this verb that came by."""
        return [request for request in list(self.requests) if request.verb == verb]

    def cut_at(self, verb: str, keep: int | None = None, *, skip: int = 0, fin: bool = False) -> Cut:
        """Orders one cut: see Cut. With RST, or with FIN (towards the server always FIN)."""
        cut = Cut(verb, keep, skip, fin)
        self._cuts.append(cut)
        return cut

    def cut(self, fin: bool = False) -> None:
        """Cuts every connection that is open now."""

        async def now() -> None:
            for link in list(self._links):
                link.cut(fin)

        self.call(now)

    def hold_connections(self, yes: bool) -> None:
        """Keeps what comes over the connections that are open now; or delivers it, however late."""
        for link in list(self._links):
            link.held = yes

    def refuse(self) -> None:
        """Nothing listens here any more; what is open stays open."""

        async def now() -> None:
            if self._listener is not None:
                self._listener.close()
                self._listener = None
            await asyncio.sleep(0)

        self.call(now)

    def accept(self) -> None:
        """Listens again, at the same port."""
        self.call(self.begin)

    def retarget(self, host: str, port: int) -> None:
        """Where connections go from now on."""
        self._target = (host, port)

    async def begin(self) -> None:
        self._listener = await asyncio.start_server(self._serve, self.host, self.port, ssl=self._tls)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def finish(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for link in list(self._links):
            link.cut(fin=False)
        await self.all_served()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serves()
        try:
            from_server, to_server = await asyncio.open_connection(*self._target)
        except OSError:
            reset(writer)
            return
        link = _Link(writer, to_server)
        self._links.add(link)
        self.opened += 1
        pumps = [
            asyncio.ensure_future(self._pump(reader, link, self._requests)),
            asyncio.ensure_future(self._pump(from_server, link, self._replies)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._links.discard(link)
            for end in (to_server, writer):
                end.close()
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await end.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, link: _Link, take: _Take) -> None:
        rest = bytearray()
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                if not self.swallow:
                    rest += chunk
                    if not await take(link, rest):
                        return

    async def _requests(self, link: _Link, rest: bytearray) -> bool:
        """Passes on whole commands; False when it has cut the connection."""
        while True:
            while self.hold_requests or link.held:
                await asyncio.sleep(0.001)
            if link.gone:
                return False
            before = bytes(rest)
            words = command_of(rest)
            if words is None:
                return True
            verb = verb_of(words)
            self.requests.append(Request(time.monotonic(), verb, words))
            if (cut := self._due(verb, lambda cut: cut.keep == -1)) is not None:
                link.cut(cut.fin)
                cut.done.set()
                return False
            link.unanswered.append(verb)
            link.server.write(before[: len(before) - len(rest)])

    async def _replies(self, link: _Link, rest: bytearray) -> bool:
        """Passes on whole replies; False when it has cut the connection."""
        while (length := reply_length(rest)) is not None:
            reply = bytes(rest[:length])
            del rest[:length]
            verb = link.unanswered.popleft() if link.unanswered else ""
            if self.delay:
                await asyncio.sleep(self.delay)
            while self.hold_replies:
                await asyncio.sleep(0.001)
            if link.gone:
                return False
            if self.swallow:
                continue
            cut = self._due(verb, lambda cut: cut.keep != -1)
            if cut is None:
                link.client.write(reply)
                continue
            link.client.write(reply if cut.keep is None else reply[: cut.keep])
            if not cut.fin:
                await self._arrived(link)
            link.cut(cut.fin)
            cut.done.set()
            return False
        return True

    async def _arrived(self, link: _Link) -> None:
        """A reset overtakes what was written before it: gives the client time to read that."""
        with contextlib.suppress(OSError):
            await link.client.drain()
        await asyncio.sleep(0.02)

    def _due(self, verb: str, kind: Callable[[Cut], bool]) -> Cut | None:
        for cut in self._cuts:
            if cut.verb == verb and kind(cut):
                if cut.skip == 0:
                    self._cuts.remove(cut)
                    return cut
                cut.skip -= 1
        return None
