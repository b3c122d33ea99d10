"""Programs that run in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import aioredlock_c

STRICT = ("-X", "dev", "-W", "error")
_HERE = Path(__file__).resolve().parent.parent
_PACKAGE = Path(aioredlock_c.__file__).resolve().parent.parent


def environment(**more: str) -> dict[str, str]:
    """The environment in which the package and these helpers can be imported."""
    paths = [str(_PACKAGE), str(_HERE), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}


def start(source: str, *arguments: object, flags: tuple[str, ...] = STRICT) -> subprocess.Popen[str]:
    """Starts `python -c source arguments...`; its output comes through pipes."""
    command = [sys.executable, *flags, "-c", source, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def run_file(path: Path, *arguments: object, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs the program in a file, warnings being errors; multiprocessing needs the file."""
    command = [sys.executable, *STRICT, str(path), *map(str, arguments)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=timeout)


def run_program(
    source: str, *arguments: object, flags: tuple[str, ...] = STRICT, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end; gives its code and output."""
    command = [sys.executable, *flags, "-c", source, *map(str, arguments)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=timeout)


def run_clean(source: str, *arguments: object, flags: tuple[str, ...] = STRICT, timeout: float = 60) -> str:
    """Runs a program that must end well and say nothing on stderr (warnings are errors); gives its stdout."""
    done = run_program(source, *arguments, flags=flags, timeout=timeout)
    # Of a busy machine, not of ours: asyncio's debug mode tells of each callback that took long, and a loop
    # that got no turn for most of an `ex` was stalled.
    busy = ("Executing <", "the event loop stood still for ")
    said = [line for line in done.stderr.splitlines() if line and not line.startswith(busy)]
    assert (done.returncode, said) == (0, []), f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
