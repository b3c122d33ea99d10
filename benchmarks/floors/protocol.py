"""The loop's own floor: a BufferedProtocol that answers from `buffer_updated`, without a task or a future."""

from __future__ import annotations

import asyncio
import time
from typing import cast

from benchmarks.floors import Pair

OK = ord("+")
NUMBER = ord(":")


class PairProtocol(asyncio.BufferedProtocol):
    """Writes TRY; on its reply RELEASE; on its reply TRY again. Replies are told by their first byte."""

    def __init__(self, pair: Pair) -> None:
        self._take, self._give = pair.take_bytes(), pair.give_bytes()
        self._buffer = bytearray(65536)
        self._view = memoryview(self._buffer)
        self._left = 0
        self._times = (0.0, 0.0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._write = self._transport.write

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        kind = self._buffer[0]
        if kind == OK:
            self._write(self._give)
        elif kind == NUMBER:
            self._left -= 1
            if self._left:
                self._write(self._take)
            else:
                wall, cpu = time.perf_counter(), time.process_time()
                self._done.set_result((wall - self._times[0], cpu - self._times[1]))
        else:
            self._done.set_exception(RuntimeError(bytes(self._buffer[:nbytes]).decode()))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport.abort()

    def start(self, pairs: int) -> asyncio.Future[tuple[float, float]]:
        """Begins; the future gives wall and CPU seconds of that many pairs."""
        self._left = pairs
        self._done: asyncio.Future[tuple[float, float]] = asyncio.get_running_loop().create_future()
        self._times = (time.perf_counter(), time.process_time())
        self._write(self._take)
        return self._done

    def close(self) -> None:
        self._transport.close()


async def run(pair: Pair, port: int, count: int) -> tuple[float, float]:
    """Wall and CPU seconds of `count` pairs, after a tenth of that as warm-up. The script must be loaded."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(lambda: PairProtocol(pair), "127.0.0.1", port)
    try:
        await protocol.start(max(1, count // 10))
        return await protocol.start(count)
    finally:
        protocol.close()
