"""A process of a run: tasks that take locks, work under them, and write down what they believed.

Its only argument is the settings as JSON. A line on its standard input has the next body stop the loop; it
ends, with status 0, when the input does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from aioredlock_c import LockNotOwnedError, Redisson
from chaos.cheats import LOCKS
from chaos.clock import now, watch_loop
from chaos.records import Log
from chaos.register import Visit

HOST = "127.0.0.1"
TTLS = {"safe": (1.0, 1.0, 1.5, 2.0, 3.0), "unsafe": (1.0, 1.0, 1.2, 1.5)}
BLOCKING_TTL = 1.5  # seconds: a body with a longer one does not stop its loop
PATIENCE = 2.0  # seconds that a task waits for a lock


@dataclass
class Settings:
    """What a worker is told at its start. `name` is its index and generation, which no other process has."""

    name: str
    plan: str
    seed: int
    port: int
    tasks: int
    keys: int
    loop: str
    register: str
    log: str
    cheat: str


@dataclass
class Carried:
    """What a lock carries of the hold that it is acquired for."""

    hold: str


def lease_end(lock: Redisson) -> float:
    """When the lease ends, on the shared clock, a millisecond too late rather than too early."""
    while True:
        before = now()
        left = lock.remaining()
        after = now()
        if after - before < 0.001:  # else the process was stopped between the two looks
            return after + left if left > 0 else 0.0


def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Reports what goes wrong on the loop, as a loop does by itself, but for the end of a stream.

    Where a cycle is collected a stream's future of its own end may go before the protocol that looks at it.
    """
    future_unseen = str(context.get("message")).startswith("Future exception was never retrieved")
    if not (future_unseen and isinstance(context.get("exception"), OSError)):
        loop.default_exception_handler(context)


class Worker:
    """The tasks of a process share a client, so that the wait queue of the process hands leases on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = Log(Path(settings.log))
        self._finishing = asyncio.Event()
        self._to_block = 0  # bodies that have yet to stop the loop
        self._lock_type = LOCKS[settings.cheat]

    async def run(self) -> None:
        """Works until standard input ends."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(report)
        threading.Thread(target=self._listen, args=(loop,), daemon=True).start()
        client = redis.asyncio.Redis(
            host=HOST, port=self._settings.port, socket_timeout=1.0, socket_connect_timeout=1.0
        )
        watching = asyncio.ensure_future(watch_loop(self._stood_still))
        try:
            await asyncio.gather(*(self._task(client, i) for i in range(self._settings.tasks)))
        finally:
            watching.cancel()
            await (client.aclose() if hasattr(client, "aclose") else client.close())

    def _stood_still(self, began: float, ended: float) -> None:
        self._log.add("slow", self._settings.name, began, ended)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        for _ in sys.stdin:
            loop.call_soon_threadsafe(self._block_next)
        loop.call_soon_threadsafe(self._finishing.set)

    def _block_next(self) -> None:
        self._to_block += 1

    async def _task(self, client: Any, number: int) -> None:
        """One task: a lock after the other."""
        dice = random.Random(f"{self._settings.seed} {self._settings.name} {number}")
        visit = await Visit.begin(self._settings.register)
        count = 0
        while not self._finishing.is_set():
            await asyncio.sleep(dice.uniform(0.0, 0.04))
            count += 1
            try:
                await self._one(client, dice, visit, f"{self._settings.name}/{number}-{count}")
            except (RedisError, OSError) as error:
                if isinstance(error, LockNotOwnedError):
                    continue  # told at the release
                await asyncio.sleep(dice.uniform(0.02, 0.1))
        visit.end()

    async def _one(self, client: Any, dice: random.Random, visit: Visit, hold: str) -> None:
        """Takes a lock, works under it, and gives it back."""
        ex = dice.choice(TTLS[self._settings.plan])
        lock = self._lock_type(
            client,
            key=f"k{dice.randrange(self._settings.keys)}",
            ex=ex,
            carry=Carried(hold),
            blocking_timeout=PATIENCE,
            on_lost=self._told,
        )
        if dice.random() < 0.3:
            async with lock as got:
                if got is not None:
                    await self._work(lock, ex, dice, visit, hold)
        elif await self._acquired(lock, dice):
            try:
                await self._work(lock, ex, dice, visit, hold)
            finally:
                await lock.release()

    async def _acquired(self, lock: Redisson, dice: random.Random) -> bool:
        """Acquires; in the safe plan some tasks are cancelled while they wait."""
        if self._settings.plan != "safe" or dice.random() > 0.1:
            return await lock.acquire()
        waiting = asyncio.ensure_future(lock.acquire())
        await asyncio.wait((waiting,), timeout=dice.uniform(0.0, 0.05))
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await waiting
        return False

    async def _work(self, lock: Redisson, ex: float, dice: random.Random, visit: Visit, hold: str) -> None:
        """Writes under the lock for a while, and looks before each write."""
        log, key = self._log, lock.key
        at, until = now(), lease_end(lock)
        if until == 0.0:
            return
        token = lock.uuid()
        log.add("got", hold, at, key, token, ex, until)
        number = await visit.ask("enter", key, hold, token, ex, at, until)
        if number:
            log.add("entered", hold, now(), number)
        await self._extended(lock, ex, dice)
        end = at + (dice.uniform(0.0, 0.06) if dice.random() < 0.85 else dice.uniform(0.3, 2.0 * ex))
        while True:
            looked, held = now(), lock.is_locked()
            until = lease_end(lock)
            log.add("look", hold, looked, held, until)
            if not held or looked >= end or not number or self._finishing.is_set():
                break
            if self._to_block and ex <= BLOCKING_TTL:
                self._block(hold, ex)
                continue
            await asyncio.sleep(dice.uniform(0.0, 0.03))  # the write on its way
            if not await visit.ask("write", key, hold, token, number, looked, until):
                log.add("refused", hold, now())
                break
            await asyncio.sleep(dice.uniform(0.01, 0.05))
        await visit.ask("leave", key, hold)
        log.add("left", hold, now())

    def _block(self, hold: str, ex: float) -> None:
        """What a body must not do: the watchdog keeps the leases of this process meanwhile."""
        self._to_block -= 1
        began = now()
        time.sleep(2 * ex)
        self._log.add("blocked", hold, began, now())

    async def _extended(self, lock: Redisson, ex: float, dice: random.Random) -> None:
        """In the safe plan some leases are extended."""
        if self._settings.plan == "safe" and dice.random() < 0.05:
            with contextlib.suppress(RedisError):
                await lock.extend(ex * dice.uniform(0.5, 1.5))

    def _told(self, lock: Redisson, error: Exception) -> None:
        carried = lock.carry
        assert isinstance(carried, Carried) and isinstance(error, LockNotOwnedError)
        self._log.add("told", carried.hold, now())


def main(text: str) -> None:
    settings = Settings(**json.loads(text))

    async def work() -> None:
        await Worker(settings).run()

    if settings.loop == "uvloop":
        import uvloop

        uvloop.run(work())
    else:
        asyncio.run(work())


if __name__ == "__main__":
    main(sys.argv[1])
