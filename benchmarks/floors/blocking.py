"""Builds and runs blocking.c with the hiredis that the extension is linked with."""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
from pathlib import Path

from benchmarks.floors import Pair

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = Path(__file__).with_name("blocking.c")


@functools.cache
def build() -> str:
    """Compiles the program; gives its path. setup.py says where hiredis is."""
    subprocess.run(
        [sys.executable, "setup.py", "-q", "hiredis"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    flags: dict[str, list[str]] = {}
    for line in (ROOT / "build" / "hiredis.mk").read_text().splitlines():
        name, _, words = line.partition(":=")
        flags[name.strip()] = shlex.split(words)
    target = ROOT / "build" / "bench-blocking"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    command = [
        *compiler,
        "-O3",
        *flags["HIREDIS_CFLAGS"],
        str(SOURCE),
        "-o",
        str(target),
        *flags["HIREDIS_LIBS"],
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return str(target)


def run(program: str, pair: Pair, port: int, count: int, depth: int = 1) -> tuple[float, float]:
    """Wall and CPU seconds of `count` pairs, `depth` of them at a time."""
    words = [program, str(port), pair.key, pair.token, str(pair.ttl_ms), pair.script, str(count), str(depth)]
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return int(out[0]) / 1e9, int(out[1]) / 1e9
