"""The processes of a run: the register and the workers, each worker behind a proxy of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.programs import environment

TESTS = Path(__file__).resolve().parent.parent
END_WITHIN = 12.0  # seconds from the end of its input to a worker's own


def start(module: str, argument: str, output: int, errors: Path) -> subprocess.Popen[bytes]:
    """Starts `python -m chaos.module argument`; what it says on stderr goes to a file."""
    paths = os.pathsep.join((str(TESTS), environment()["PYTHONPATH"]))
    command = [sys.executable, "-m", f"chaos.{module}", argument]
    with open(errors, "ab") as said:
        return subprocess.Popen(
            command, env=environment(PYTHONPATH=paths), stdin=subprocess.PIPE, stdout=output, stderr=said
        )


def has_uvloop() -> bool:
    return importlib.util.find_spec("uvloop") is not None


class Worker:
    """A worker and those that are started in its place."""

    def __init__(self, index: int, directory: Path, settings: dict[str, Any]) -> None:
        self._index = index
        self._directory = directory
        self._settings = settings
        self._generation = 0
        self.died: list[str] = []  # what ended without being told to
        self.process = self._start()

    @property
    def name(self) -> str:
        """Of the process that runs now."""
        return f"{self._index}.{self._generation}"

    def _start(self) -> subprocess.Popen[bytes]:
        log = self._directory / f"worker-{self.name}.log"
        loop = "uvloop" if self._index % 2 and has_uvloop() else "asyncio"
        settings = {**self._settings, "name": self.name, "log": str(log), "loop": loop}
        return start("worker", json.dumps(settings), subprocess.DEVNULL, self._errors)

    @property
    def _errors(self) -> Path:
        return self._directory / f"worker-{self._index}.err"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def block(self) -> None:
        """Has the next body that can do so stop its loop."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"block\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """Kills the process and starts another one in its place."""
        self._check_alive()
        self._end()
        self._generation += 1
        self.process = self._start()

    def _check_alive(self) -> None:
        if self.process.poll() is not None:
            self.died.append(f"the process {self.name} ended by itself: status {self.process.returncode}")

    def finish(self) -> None:
        """Tells the process to end."""
        self._check_alive()
        assert self.process.stdin is not None
        self.process.stdin.close()

    def check_finished(self, until: float) -> None:
        """Waits until it has ended, as it was told, until this time of time.monotonic()."""
        try:
            status = self.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.died.append(f"the process {self.name} does not end")
        else:
            if status:
                self.died.append(f"the process {self.name} ended with status {status}")
        said = self._errors.read_text(errors="replace")
        if "Traceback" in said:
            told = said[said.find("Traceback") :][:3000]
            self.died.append(f"a worker of the place {self._index} said:\n{told}")

    def _end(self) -> None:
        """Ends the process at once, also if it is stopped."""
        self.process.kill()
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def stop(self) -> None:
        self._end()


@dataclass
class RegisterProcess:
    """The process of the fencing register, at a Unix socket in the run's directory."""

    path: str
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, directory: Path) -> RegisterProcess:
        path = str(directory / "register")
        process = start("register", path, subprocess.PIPE, directory / "register.err")
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("the register does not start:\n" + (directory / "register.err").read_text())
        return cls(path, process)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def finish(workers: Iterable[Worker]) -> list[str]:
    """Has all workers end; what was wrong with them."""
    ones = list(workers)
    until = time.monotonic() + END_WITHIN
    for worker in ones:
        worker.finish()
    for worker in ones:
        worker.check_finished(until)
    return [what for worker in ones for what in worker.died]
