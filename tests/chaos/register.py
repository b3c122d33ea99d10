"""The fencing register: the resource that the locks protect, in a process of its own.

It draws a number at each entry and refuses a write with a lower one. `Register` is the judge, a function of
its inputs; below it are the process that serves it and the workers' connection to it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from chaos.clock import now

LINE = 1 << 26  # bytes of one line at most: the report of a run is one


@dataclass
class Place:
    """Who is in, or was in last."""

    number: int
    hold: str
    token: str
    ex: float
    until: float  # the announced end of its lease
    out: bool = False


@dataclass
class Register:
    """Judge 1. Of the times `at` is when the worker knew, `time` when the register hears of it."""

    places: dict[str, Place] = field(default_factory=dict)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)  # of a key and token
    successors: dict[tuple[str, str], tuple[Place, float]] = field(default_factory=dict)  # of a key and hold
    counts: Counter[str] = field(default_factory=Counter)
    flags: list[dict[str, Any]] = field(default_factory=list)
    journal: list[tuple[str, str, int, float]] = field(default_factory=list)  # accepted writes

    def enter(self, key: str, hold: str, token: str, ex: float, at: float, until: float, time: float) -> int:
        """The number of an entry; 0 for one that is refused.

        A token draws its number at its first entry: a lease that is handed on keeps it. One that comes with
        a lower number than another had since is refused, and so is one whose end passed on its way.
        """
        if until <= time:
            self.counts["late"] += 1
            return 0
        before = self.places.get(key)
        highest = before.number if before is not None else 0
        place = Place(self.numbers.setdefault((key, token), highest + 1), hold, token, ex, until)
        if before is not None:
            if place.number < highest:
                self.counts["refused"] += 1
                self._flag("a believer's entry refused", key, place, before, at)
                return 0
            self.successors[key, before.hold] = (place, at)
            if not before.out and before.until > at:
                self._flag("entered while occupied", key, before, place, at)
        self.places[key] = place
        self.counts["entered"] += 1
        return place.number

    def write(
        self, key: str, hold: str, token: str, number: int, looked: float, until: float, time: float
    ) -> bool:
        """Whether a write is accepted. The writer held at `looked`, its lease then ending at `until`."""
        place = self.places[key]
        if number < place.number or hold != place.hold:
            self.counts["refused"] += 1
            successor, entered = self.successors[key, hold]
            # What was only slow on its way is refused too, and rightly so: its lease was over by then.
            if entered < max(looked, until):
                writer = Place(number, hold, token, 0.0, until)
                self._flag("a believer's write refused", key, writer, successor, entered)
            return False
        if place.out or until <= time:
            self.counts["late"] += 1
            return False
        place.until = max(place.until, until)
        self.counts["accepted"] += 1
        self.journal.append((key, hold, number, time))
        return True

    def leave(self, key: str, hold: str) -> None:
        """This holder calls release next."""
        place = self.places[key]
        if place.hold == hold:
            place.out = True

    def inside(self, time: float) -> list[dict[str, Any]]:
        """Who is in now."""
        return [
            {"key": key, "hold": place.hold, "token": place.token, "ex": place.ex, "until": place.until}
            for key, place in self.places.items()
            if not place.out and place.until > time
        ]

    def report(self) -> dict[str, Any]:
        """What it counted, what it flagged, and the writes that it accepted: key, hold, number, time."""
        return {"counts": dict(self.counts), "flags": self.flags, "journal": self.journal}

    def _flag(self, what: str, key: str, one: Place, other: Place, at: float) -> None:
        """Two that believe at a time: `one` did, and `other` came at `at`, or was there by then."""
        holds, tokens = (one.hold, other.hold), (one.token, other.token)
        self.flags.append({"what": what, "key": key, "holds": holds, "tokens": tokens, "at": at})


def answer(register: Register, words: list[Any], time: float) -> object:
    """The answer to one line of a worker's or the controller's."""
    verbs: dict[str, Callable[..., object]] = {
        "enter": partial(register.enter, time=time),
        "write": partial(register.write, time=time),
        "leave": register.leave,
        "inside": partial(register.inside, time=time),
        "report": register.report,
    }
    return verbs[words[0]](*words[1:])


async def serve(path: str) -> None:
    """Serves at this Unix socket until standard input ends."""
    register = Register()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(answer(register, json.loads(line), now())).encode() + b"\n")
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass  # a worker was killed, or the run is over
        finally:
            writer.close()

    async with await asyncio.start_unix_server(talk, path):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


class Visit:
    """A connection to the register, for one task: one question at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def begin(cls, path: str) -> Visit:
        return cls(*await asyncio.open_unix_connection(path, limit=LINE))

    async def ask(self, verb: str, *arguments: object) -> Any:
        """Asks `answer` in the register's process."""
        self._writer.write(json.dumps([verb, *arguments]).encode() + b"\n")
        line = await self._reader.readline()
        if not line:
            raise ConnectionError("the register is gone")
        return json.loads(line)

    def end(self) -> None:
        self._writer.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
