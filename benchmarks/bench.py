"""What a scenario works with (servers, workers, options) and what it gives back (a row of checks)."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import server as servers
from benchmarks.stats import Spread

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Check:
    """One measured figure beside its target. `judged` is False for a figure shown for comparison alone."""

    what: str
    measured: Spread
    target: float
    unit: str = "x"
    at_least: bool = False
    judged: bool = True

    @property
    def met(self) -> bool:
        if self.at_least:
            return self.measured.median >= self.target
        return self.measured.median <= self.target


@dataclass
class Row:
    """What one scenario found: checks, the absolute figures behind them, and remarks."""

    checks: list[Check] = field(default_factory=list)
    figures: dict[str, Spread] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def met(self) -> bool:
        return all(check.met for check in self.checks if check.judged)


class WorkerError(RuntimeError):
    """A worker ended without a result; the text says what it wrote to stderr."""


@dataclass(frozen=True)
class Placement:
    """Which cores the client and the server run on; empty sets where the system cannot pin."""

    name: str
    client: frozenset[int]
    server: frozenset[int]


@dataclass(frozen=True)
class Bench:
    """The run: its options, and how a scenario starts what it needs."""

    quick: bool = False

    def rounds(self, full: int) -> int:
        """How many rounds to do: all of them, or as few as still give a median."""
        return 3 if self.quick else full

    @functools.cached_property
    def placements(self) -> dict[str, Placement]:
        """`two`: a core for each side; `one`: the same core for both; `free`: wherever the system likes."""
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        none: frozenset[int] = frozenset()
        one = frozenset(cpus[:1])
        return {
            "two": Placement("two cores", one, frozenset(cpus[-1:])),
            "one": Placement("one core", one, one),
            "free": Placement("not pinned", none, none),
        }

    @contextlib.contextmanager
    def server(self, placement: str = "two") -> Iterator[servers.Server]:
        """A private server, empty, on its core."""
        with servers.running(self.placements[placement].server) as server:
            yield server

    def worker(
        self,
        function: str,
        placement: str = "two",
        *,
        timeout: float = 120.0,
        python: str = sys.executable,
        env: dict[str, str] | None = None,
        **arguments: Any,
    ) -> Any:
        """Calls `module:function` of this package in a fresh process on the client's core."""
        with servers.pinned(self.placements[placement].client):
            process = subprocess.Popen(
                [python, "-m", "benchmarks.worker", function],
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        try:
            out, err = process.communicate(json.dumps(arguments), timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise WorkerError(f"{function}: no result within {timeout:g} s") from None
        if process.returncode:
            raise WorkerError(f"{function}: {err.strip()[-2000:]}")
        return json.loads(out.splitlines()[-1])
