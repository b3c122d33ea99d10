"""The floors of src/: a file includes only its own floor and those below, and each floor compiles without
those above it."""

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
FILES = sorted([*SRC.rglob("*.c"), *SRC.rglob("*.h")])

# From below to above: the floors below each floor, and which of their headers it may include ("*": any).
FLOORS: dict[str, dict[str, set[str]]] = {
    "core": {},
    "resp": {"core": {"core/arl.h", "core/ticks.h"}},
    "watchdog": {"core": {"core/arl.h", "core/ticks.h"}, "resp": {"*"}},
    "python": {"core": {"core/arl.h", "core/ticks.h"}, "resp": {"*"}, "watchdog": {"watchdog/watchdog.h"}},
}

# C11's headers that neither do I/O nor read a clock nor start a thread: all that core may use.
PURE = {
    "assert.h",
    "errno.h",
    "inttypes.h",
    "limits.h",
    "math.h",
    "stdalign.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
    "stdlib.h",
    "string.h",
}
# What the watchdog uses beyond them: threads, sockets, descriptors, and sleeping.
SYSTEM = {
    "errno.h",
    "fcntl.h",
    "netinet/in.h",
    "netinet/tcp.h",
    "poll.h",
    "pthread.h",
    "signal.h",
    "stdio.h",
    "sys/eventfd.h",
    "sys/socket.h",
    "sys/syscall.h",
    "sys/types.h",
    "time.h",
    "unistd.h",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def includes(path: Path) -> list[tuple[str, str]]:
    """The includes of a file: the kind of bracket and the name."""
    return [(match[1], match[2]) for match in INCLUDE.finditer(path.read_text())]


def refusal(path: Path, bracket: str, name: str) -> str | None:
    """Why `path` may not include `name`; None where it may."""
    floor = path.relative_to(SRC).parts[0]
    if bracket == '"':
        own = name if "/" in name else f"{floor}/{name}"
        if not (SRC / own).is_file():
            return "there is no such file in src"
        if not own.endswith(".h"):
            return "only headers are included"
        other = own.split("/")[0]
        if other == floor:
            return None
        allowed = FLOORS[floor].get(other, set())
        return None if "*" in allowed or own in allowed else f"{floor} does not see this file of {other}"
    if name == "Python.h" or name in ("structmember.h", "datetime.h"):
        return None if floor == "python" else "only python sees Python.h"
    if name.startswith("hiredis/") or name == "hiredis.h":
        return None if floor == "resp" else "only resp sees hiredis"
    if floor == "core" and name not in PURE:
        return "core draws on pure headers of C11 alone"
    if floor == "resp" and name not in PURE | {"ctype.h", "stdarg.h", "stdio.h", "sys/types.h", "sys/time.h"}:
        return "resp neither talks to sockets nor starts threads"
    if floor == "watchdog" and name not in PURE | SYSTEM:
        return "watchdog is a thread and its sockets"
    return None


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(SRC)) for path in FILES])
def test_includes_stay_on_their_floor(path: Path) -> None:
    assert path.relative_to(SRC).parts[0] in FLOORS, "a file outside the floors"
    refused = {name: why for bracket, name in includes(path) if (why := refusal(path, bracket, name))}
    assert not refused


def test_a_breach_would_be_seen() -> None:
    breaches = [
        ("core/engine.c", "<", "Python.h"),
        ("core/engine.c", "<", "hiredis/hiredis.h"),
        ("core/engine.c", "<", "time.h"),
        ("core/engine.c", "<", "pthread.h"),
        ("core/engine.c", '"', "resp/format.h"),
        ("core/engine.c", '"', "../python/state.h"),
        ("resp/parse.c", "<", "Python.h"),
        ("resp/parse.c", "<", "sys/socket.h"),
        ("resp/parse.c", '"', "core/engine.h"),
        ("resp/parse.c", '"', "core/waitq.h"),
        ("resp/parse.c", '"', "python/state.h"),
        ("resp/format.c", '"', "watchdog/watchdog.h"),
        ("watchdog/thread.c", "<", "Python.h"),
        ("watchdog/session.c", "<", "hiredis/hiredis.h"),
        ("watchdog/session.c", "<", "netdb.h"),
        ("watchdog/row.c", '"', "core/watch.h"),
        ("watchdog/row.c", '"', "python/state.h"),
        ("python/state.h", '"', "watchdog/session.h"),
        ("python/module.c", '"', "core/waitq.h"),
        ("python/module.c", "<", "hiredis/hiredis.h"),
        ("python/module.c", '"', "core/engine.c"),
    ]
    seen = [refusal(SRC / path, bracket, name) for path, bracket, name in breaches]
    assert all(seen), list(zip(breaches, seen, strict=True))


def compile_floor(floor: str, flags: list[str], traps: list[str], scratch: Path) -> None:
    """Compiles each file of a floor with `cc` from a folder that holds this floor and those below only; a
    header named in `traps` stops the compiler, wherever else the machine has one of that name."""
    copy, trap = scratch / "src", scratch / "trap"
    for name in [floor, *FLOORS[floor]]:
        shutil.copytree(SRC / name, copy / name)
    for name in traps:
        (trap / name).parent.mkdir(parents=True, exist_ok=True)
        (trap / name).write_text(f"#error {floor} includes {name}\n")
    sources = sorted(str(path) for path in (copy / floor).glob("*.c"))
    assert sources
    command = [*os.environ.get("CC", "cc").split(), "-std=c11", "-fsyntax-only", f"-I{copy}", f"-I{trap}"]
    run = subprocess.run([*command, *flags, *sources], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr


def hiredis_flags() -> list[str]:
    """The flags by which the tests in C find hiredis (setup.py writes them there)."""
    written = ROOT / "build" / "hiredis.mk"
    if not written.exists():
        return []
    match = re.search(r"^HIREDIS_CFLAGS := (.*)$", written.read_text(), re.MULTILINE)
    return match[1].split() if match else []


def test_core_compiles_with_plain_cc(tmp_path: Path) -> None:
    compile_floor("core", [], ["Python.h", "hiredis/hiredis.h", "time.h", "pthread.h"], tmp_path)


def test_resp_compiles_without_the_floors_above(tmp_path: Path) -> None:
    compile_floor("resp", hiredis_flags(), ["Python.h"], tmp_path)


def test_python_compiles_without_hiredis(tmp_path: Path) -> None:
    python = f"-I{sysconfig.get_path('include')}"
    compile_floor("python", [python], ["hiredis/hiredis.h"], tmp_path)


def test_watchdog_compiles_without_the_floors_above(tmp_path: Path) -> None:
    compile_floor("watchdog", [*hiredis_flags(), "-pthread"], ["Python.h", "hiredis/hiredis.h"], tmp_path)


def test_calls_that_the_watchdog_may_meet_hold_the_mutex() -> None:
    calls = (SRC / "python" / "engine_calls.h").read_text()
    guarded = set(re.findall(r"^ENGINE_(?:CALL|ACTION)\((?:\w+, )?(\w+),", calls, re.MULTILINE))
    assert {"acquire", "look", "release", "drop", "reply", "tick", "deadline"} <= guarded
    for path in sorted((SRC / "python").glob("*.c")):
        bare = guarded & set(re.findall(r"\barl_engine_(\w+)\(", path.read_text()))
        assert not bare, f"{path.relative_to(ROOT)} calls into an engine without its mutex: {bare}"


def test_files_stay_small() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in FILES}
    assert not {path: length for path, length in lengths.items() if length >= 600}
    assert median(length for path, length in lengths.items() if path.suffix == ".c") < 300


# A definition at file level that keeps state: no function, no type, no constant.
MUTABLE = re.compile(r"^\s*static\s+(?!inline\b)(?!const\b)(?!_Thread_local\b)[^()=;{]*(=|;)", re.MULTILINE)


@pytest.mark.parametrize("floor", ["core", "resp", "watchdog"])
def test_no_mutable_state_of_the_process(floor: str) -> None:
    for path in sorted((SRC / floor).glob("*.c")):
        found = [match[0].strip() for match in MUTABLE.finditer(path.read_text())]
        assert not found, f"{path.relative_to(ROOT)}: {found}"
