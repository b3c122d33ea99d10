"""How each fault of a plan is done to the processes, the connections and the server of a run."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.clock import now
from chaos.fleet import Worker
from chaos.plan import Fault
from chaos.proxy import ChaosProxy
from chaos.records import Done
from chaos.register import Visit
from chaos.server import ChaosServer

MARGIN = 0.15  # seconds of a lease that a stopped process has left when it goes on
SHORTEST = 0.03  # seconds: a shorter stop is none
TRIES = 40  # looks for somebody who holds a lock


@dataclass
class Injector:
    """Does the faults; `done` is the journal of them."""

    workers: Sequence[Worker]
    proxies: Sequence[ChaosProxy]
    server: ChaosServer
    register: Visit
    dice: random.Random
    done: list[Done] = field(default_factory=list)

    def __post_init__(self) -> None:
        # A process is stopped or killed by one fault at a time.
        self._busy = [asyncio.Lock() for _ in self.workers]
        self._asking = asyncio.Lock()

    async def inject(self, fault: Fault) -> None:
        """Does one fault, to its end, and puts it on record."""
        way: dict[str, Callable[[Fault, Done], Awaitable[bool]]] = {
            "delay": self._delay,
            "cut": self._cut,
            "black_hole": self._black_hole,
            "half_open": self._half_open,
            "stop": self._stop,
            "kill": self._kill,
            "restart": self._restart,
            "restart_empty": self._restart,
            "silence": self._silence,
            "block": self._block,
            "delete": self._delete,
            "stop_beyond": self._stop_beyond,
        }
        done = Done(fault.kind, now(), 0.0, self.workers[fault.worker].name if fault.worker >= 0 else "")
        done.hit = await way[fault.kind](fault, done)
        done.end = done.end or now()
        self.done.append(done)

    def journal(self) -> list[Done]:
        """The faults that had an effect."""
        return [done for done in self.done if done.hit]

    async def _inside(self) -> list[dict[str, Any]]:
        """Who is in now, by the register."""
        async with self._asking:
            inside: list[dict[str, Any]] = await self.register.ask("inside")
            return inside

    async def _held_by(self, worker: Worker) -> list[dict[str, Any]]:
        return [hold for hold in await self._inside() if hold["hold"].split("/")[0] == worker.name]

    # ---- connections ----

    async def _delay(self, fault: Fault, done: Done) -> bool:
        return await self.proxies[fault.worker].delay(fault.seconds, fault.amount)

    async def _cut(self, fault: Fault, done: Done) -> bool:
        return await self.proxies[fault.worker].cut(int(fault.amount), fault.way)

    async def _black_hole(self, fault: Fault, done: Done) -> bool:
        return await self.proxies[fault.worker].swallow(("up", "down"), fault.seconds, fault.way)

    async def _half_open(self, fault: Fault, done: Done) -> bool:
        direction, way = fault.way.split()
        return await self.proxies[fault.worker].swallow((direction,), fault.seconds, way)

    # ---- processes ----

    async def _stop(self, fault: Fault, done: Done) -> bool:
        """Stops a process for less than is left of each lease that it holds."""
        worker = self.workers[fault.worker]
        async with self._busy[fault.worker]:
            done.begin, done.worker = now(), worker.name
            worker.signal(signal.SIGSTOP)
            try:
                ends = [hold["until"] for hold in await self._held_by(worker)]
                left = min(ends, default=now() + fault.seconds + MARGIN) - MARGIN - now()
                await asyncio.sleep(max(0.0, min(left, fault.seconds)))
            finally:
                worker.signal(signal.SIGCONT)
            return left >= SHORTEST

    async def _kill(self, fault: Fault, done: Done) -> bool:
        async with self._busy[fault.worker]:
            self.workers[fault.worker].kill()
        return True

    async def _block(self, fault: Fault, done: Done) -> bool:
        async with self._busy[fault.worker]:
            self.workers[fault.worker].block()
        return True

    async def _stop_beyond(self, fault: Fault, done: Done) -> bool:
        """Stops a process that holds something until all its leases are over."""
        worker = self.workers[fault.worker]
        async with self._busy[fault.worker]:
            for _ in range(TRIES):
                done.begin, done.worker = now(), worker.name
                worker.signal(signal.SIGSTOP)
                try:
                    if held := await self._held_by(worker):
                        # A renewal may have been written since the holder announced its lease's end.
                        await asyncio.sleep(max(hold["ex"] for hold in held) + fault.seconds)
                        done.end = now()
                        return True
                finally:
                    worker.signal(signal.SIGCONT)
                await asyncio.sleep(0.03)
        return False

    # ---- the server ----

    async def _restart(self, fault: Fault, done: Done) -> bool:
        await self.server.restart(fault.seconds)
        return True

    async def _silence(self, fault: Fault, done: Done) -> bool:
        await self.server.silence(fault.seconds)
        return True

    async def _delete(self, fault: Fault, done: Done) -> bool:
        """Deletes a key in whose lease somebody believes, preferably not one that just ends."""
        for _ in range(TRIES):
            inside = await self._inside()
            if inside:
                hold = self.dice.choice(inside)
                done.begin = now()
                token = await self.server.take(hold["key"])
                done.end = now()
                if token is not None:
                    done.token = token
                    return True
            await asyncio.sleep(0.02)
        return False
