"""What a worker writes down of its holds, event by event, and the holds that the judges read from it.

Each line is a JSON list: the event, the hold, a time on the shared clock, and what belongs to the event:

    got      key, token, ex, lease end        acquire gave the lock
    entered  number                           the register answered the entry
    look     held, lease end                  what is_locked() and remaining() said
    blocked  end                              the loop stood still from the event's time to this one
    left                                      release is called next
    told                                      on_lost was called
    refused                                   the register refused a write
    slow     end                              (of a process) its loop stood still, or did not get a processor
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Hold:
    """One hold of one task: what it believed, and what it was told."""

    hold: str
    key: str
    token: str
    ex: float
    got: float
    begun: float  # its lease was asked for after this, even if another of its process had it first
    until: float  # the last lease end that it knew
    entered: float | None = None
    number: int = 0
    looks: list[tuple[float, bool]] = field(default_factory=list)
    blocked: list[tuple[float, float]] = field(default_factory=list)
    left: float | None = None
    told: list[float] = field(default_factory=list)
    refused: float | None = None
    renewed: bool = False  # its lease end moved on

    @property
    def worker(self) -> str:
        """The process: index and generation."""
        return self.hold.rsplit("/", 1)[0]

    @property
    def lost_at(self) -> float | None:
        """When its task first knew of a loss; None: never, or only after it had left."""
        times = [at for at, held in self.looks if not held] + self.told
        known = [at for at in times if self.left is None or at <= self.left]
        return min(known) if known else None

    @property
    def end(self) -> float:
        """When it ended: release called, a loss told, or the lease over; not before it still believed."""
        ends = [self.until, *(at for at in (self.left, self.lost_at) if at is not None)]
        return max([min(ends), *(at for at, held in self.looks if held)])


@dataclass
class Done:
    """A fault that was done: when it began and ended, on the shared clock, and whom it hit."""

    kind: str
    begin: float
    end: float
    worker: str = ""  # the process that it hit; of a fault of the server: none
    token: str = ""  # of delete
    hit: bool = True  # it had an effect


class Log:
    """A worker's log. What was added is on record even if the process is killed the moment after."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, event: str, hold: str, at: float, *more: object) -> None:
        os.write(self._file, json.dumps([event, hold, at, *more]).encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


def _apply(hold: Hold, event: str, at: float, more: list[Any]) -> None:
    if event == "entered":
        hold.entered, hold.number = at, more[0]
    elif event == "look":
        held, until = more
        hold.looks.append((at, held))
        if held:
            hold.renewed = hold.renewed or until > hold.until + hold.ex / 5
            hold.until = max(hold.until, until)
    elif event == "blocked":
        hold.blocked.append((at, more[0]))
    elif event == "left":
        hold.left = at
    elif event == "told":
        hold.told.append(at)
    elif event == "refused":
        hold.refused = at
    else:
        raise ValueError(f"no such event: {event}")


def read_holds(lines: list[str]) -> list[Hold]:
    """The holds in the lines of one or more logs."""
    holds: dict[str, Hold] = {}
    for line in lines:
        event, name, at, *more = json.loads(line)
        if event == "got":
            key, token, ex, until = more
            holds[name] = Hold(name, key, token, ex, at, until - ex, until)
        elif (
            event != "slow" and name in holds
        ):  # else its lease was over before its task ran: nobody worked under it
            _apply(holds[name], event, at, more)
    return list(holds.values())


def read_slow(lines: list[str]) -> list[Done]:
    """When which process was slow, in the lines of one or more logs."""
    events = map(json.loads, lines)
    return [Done("slow", event[2], event[3], event[1]) for event in events if event[0] == "slow"]


def read_logs(directory: Path) -> tuple[list[Hold], list[Done]]:
    """The holds in all logs of a run, and when processes were slow. A line that a kill cut does not count."""
    lines: list[str] = []
    for path in sorted(directory.glob("worker-*.log")):
        text = path.read_text()
        lines += text[: text.rfind("\n") + 1].splitlines()
    return read_holds(lines), read_slow(lines)
