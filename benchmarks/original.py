"""Finds or makes a Python 3.10 that can import aioredlock-py, so that the real package takes part."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "bench-py310"
PROBE = "import sys, aioredis, aioredlock_py; sys.exit(sys.version_info[:2] != (3, 10))"
NOTE = "without Python 3.10 aioredlock-py cannot run: a stand-in spoke its commands on its schedule"


@functools.cache
def python() -> str | None:
    """The interpreter, or None. AIOREDLOCK_PY_PYTHON names one; else an environment is made under build/."""
    named = os.environ.get("AIOREDLOCK_PY_PYTHON")
    if named is not None:
        return named if _works(named) else None
    ours = HOME / "bin" / "python"
    if _works(str(ours)):
        return str(ours)
    base = _base()
    if base is None:
        return None
    try:
        subprocess.run([base, "-m", "venv", "--clear", str(HOME)], check=True, capture_output=True)
        words = [
            str(ours),
            "-m",
            "pip",
            "install",
            "-q",
            "-r",
            str(ROOT / "benchmarks/requirements-py310.txt"),
        ]
        subprocess.run(words, check=True, capture_output=True, timeout=120)
    except (OSError, subprocess.SubprocessError):
        return None
    return str(ours) if _works(str(ours)) else None


def kind() -> str:
    """The name in benchmarks.locks of what plays aioredlock-py in this run."""
    return "aioredlock-py" if python() else "stand-in"


def _works(interpreter: str) -> bool:
    try:
        return subprocess.run([interpreter, "-c", PROBE], capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _base() -> str | None:
    found = shutil.which("python3.10")
    candidates = [found] if found else []
    candidates += sorted(map(str, Path.home().glob(".pyenv/versions/3.10.*/bin/python")), reverse=True)
    for candidate in candidates:
        if subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return candidate
    return None
