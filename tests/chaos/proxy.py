"""A proxy before the server whose connections fail in every way that a network's do."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

from support.looped import reset

HOST = "127.0.0.1"
LATE = 2.0  # seconds within which what is delayed still reaches the server after its connection has ended


class _Link:
    """A client's connection, ours to the server, and the directions in which bytes were lost."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.spoiled: set[str] = set()
        self.bite = -1  # bytes of the next reply that pass before the cut; negative: no cut
        self.fin = False
        self.in_hand = False  # a request is delayed
        self.was_cut = False

    def cut(self) -> None:
        """Ends the client's side. What is in hand still reaches the server, later."""
        self.was_cut = True
        if self.fin:
            self.client.close()
        else:
            reset(self.client)


class ChaosProxy:
    """Listens at `port` and connects to (target_host, target_port), between `start` and `stop`."""

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._dead: Counter[str] = Counter()  # faults that swallow what goes up or down
        self._delays: list[float] = []
        self.port = 0

    async def start(self) -> None:
        self._listener = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._listener.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ---- faults ----

    async def delay(self, seconds: float, each: float) -> bool:
        """For so many seconds whatever comes is passed on `each` seconds late."""
        self._delays.append(each)
        await asyncio.sleep(seconds)
        self._delays.remove(each)
        return True

    async def cut(self, bite: int, way: str) -> bool:
        """Ends every connection: at once, or after `bite` bytes of its next reply. False: nothing was cut."""
        links = [link for link in self._links if link.bite < 0]
        for link in links:
            link.fin = way == "fin"
            link.bite = bite
            if bite < 0:
                link.cut()
        for _ in range(20 if links else 0):
            if any(link.was_cut for link in links):
                return True
            await asyncio.sleep(0.05)
        return False

    async def swallow(self, directions: tuple[str, ...], seconds: float, way: str) -> bool:
        """What goes in these directions vanishes; then the connections are reset, or stay dead."""
        self._dead.update(directions)
        await asyncio.sleep(seconds)
        self._dead.subtract(directions)
        if way == "rst":
            for link in list(self._links):
                if link.spoiled:
                    link.cut()
        return True

    # ---- traffic ----

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._forward(reader, writer)
        except asyncio.CancelledError:
            pass  # the run is over
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection(*self._target)
        except OSError:
            reset(writer)
            return
        link = _Link(writer, to_server)
        self._links.add(link)
        up = asyncio.ensure_future(self._pump(reader, to_server, link, "up"))
        down = asyncio.ensure_future(self._pump(from_server, writer, link, "down"))
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            writer.close()
            if link.in_hand:
                await asyncio.wait((up,), timeout=LATE)
        finally:
            self._links.discard(link)
            for pump in (up, down):
                pump.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            to_server.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link, direction: str
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                if self._dead[direction] > 0 or direction in link.spoiled:
                    link.spoiled.add(direction)
                    continue
                if self._delays:
                    link.in_hand = link.in_hand or direction == "up"
                    await asyncio.sleep(sum(self._delays))
                if direction == "down" and link.bite >= 0:
                    writer.write(chunk[: link.bite])
                    await asyncio.sleep(0.02)  # a reset overtakes what was written just before
                    link.cut()
                    return
                writer.write(chunk)
                if direction == "up":
                    link.in_hand = False
                await writer.drain()
