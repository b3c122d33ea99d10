"""Several processes that contend for one key, and the judge over their logs."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from benchmarks import original
from benchmarks.bench import ROOT, WorkerError

HOLD, PAUSE = 0.03, 0.06  # seconds

Log = list[tuple[float, float]]


@dataclass
class Contender:
    """One process of traffic and, at its end, its log."""

    kind: str
    process: subprocess.Popen[str]
    log: Log = field(default_factory=list)
    gave_up: int = 0
    _last: str = ""

    @property
    def input(self) -> IO[str]:
        assert self.process.stdin is not None  # opened as a pipe
        return self.process.stdin

    @property
    def output(self) -> IO[str]:
        assert self.process.stdout is not None  # opened as a pipe
        return self.process.stdout

    def expect(self, word: str) -> str:
        """The rest of the next line, which must begin with `word`; WorkerError where it does not."""
        line = self.output.readline()
        if not line.startswith(word):
            self._last = line
            raise WorkerError(f"{self.kind}: {line or self._complaint()}")
        return line[len(word) :].strip()

    def begin(self, start: float) -> None:
        self.input.write(f"{start}\n")
        self.input.flush()

    def finish(self, timeout: float) -> None:
        """Waits for the end and takes the log."""
        out, err = self.process.communicate(timeout=timeout)
        if self.process.returncode:
            raise WorkerError(f"{self.kind}: {err.strip()[-2000:]}")
        result = json.loads((self._last + out).splitlines()[-1])
        self.log = [(entered, left) for entered, left in result["log"]]
        self.gave_up = result["gave_up"]

    def _complaint(self) -> str:
        self.process.kill()
        return self.process.communicate()[1].strip()[-2000:]


@contextlib.contextmanager
def contenders(url: str, wanted: list[dict[str, Any]]) -> Iterator[list[Contender]]:
    """Starts a process for each entry (arguments of `traffic.contend`); all are ready, none has begun."""
    started: list[Contender] = []
    try:
        for arguments in wanted:
            python = original.python() if arguments["kind"] == "aioredlock-py" else None
            process = subprocess.Popen(
                [python or sys.executable, "-m", "benchmarks.traffic"],
                cwd=ROOT,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            contender = Contender(arguments["kind"], process)
            started.append(contender)
            contender.input.write(json.dumps({"url": url, "hold": HOLD, "pause": PAUSE, **arguments}) + "\n")
            contender.input.flush()
        for contender in started:
            contender.expect("ready")
        yield started
    finally:
        for contender in started:
            if contender.process.poll() is None:
                contender.process.kill()
                contender.process.communicate()


def begin(group: list[Contender]) -> float:
    """Lets all begin at one moment a little ahead; gives that moment."""
    start = time.monotonic() + 0.3
    for contender in group:
        contender.begin(start)
    return start


def finish(group: list[Contender], timeout: float) -> None:
    """Waits until all have ended."""
    end = time.monotonic() + timeout
    for contender in group:
        contender.finish(max(0.1, end - time.monotonic()))


def merged(group: list[Contender]) -> Log:
    return sorted(hold for contender in group for hold in contender.log)


def overlaps(group: list[Contender]) -> int:
    """How many holds began before the one before them had ended."""
    log = merged(group)
    return sum(later[0] < earlier[1] for earlier, later in zip(log, log[1:], strict=False))


def share_held(group: list[Contender], start: float, seconds: float) -> float:
    """The part of the time from `start` for `seconds` in which somebody held the lock."""
    end = start + seconds
    return sum(max(0.0, min(left, end) - max(entered, start)) for entered, left in merged(group)) / seconds
