"""The Python tests on an extension that was built with SANITIZE=address,undefined.

    python tools/sanitized.py LIBRARY [--jobs N] [--deep] [pytest's arguments]

The interpreter itself is not instrumented, so the runtime is preloaded, and PYTHONMALLOC=malloc lets it see
each object. Reports of all processes go to files, which are judged at the end: any error of the address or
undefined sanitizer counts, and of the leaks those with a frame of ours on the stack of their allocation;
tools/lsan.supp takes the interpreter's out. --deep unwinds each allocation whole, through frames of the
interpreter that keep no frame pointer: five times as slow, but then what the interpreter allocated for us has
our frame too. What the garbage collector tracks is no leak to a sanitizer, since the collector's own lists
reach it: support/sharing.py counts those objects.

Each job is one pytest with a share of the tests: the workers of pytest-xdist are killed, and report no leaks.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = "/aioredlock_c/_core."  # the file of the extension, which stands in each frame of ours
CANARY = "import ctypes; take = ctypes.CDLL(None).malloc; take.restype = None; [take(999) for i in range(9)]"


def runtime() -> str:
    """The address sanitizer's runtime that the compiler links with."""
    command = [*os.environ.get("CC", "cc").split(), "-print-file-name=libasan.so"]
    path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if not Path(path).is_file():
        sys.exit("The address sanitizer's runtime (libasan.so) is missing: it comes with gcc")
    return path


def environment(library: Path, reports: Path, deep: bool) -> dict[str, str]:
    options = {
        "detect_leaks": "1",
        "allocator_may_return_null": "1",
        "log_path": str(reports / "report"),
        "exitcode": "0",  # the interpreter's own leaks are no failure; reports are judged at the end
        "fast_unwind_on_malloc": "0" if deep else "1",
        "stack_trace_format": "'    #%n %F %L [%m]'",
        "malloc_context_size": "10" if deep else "30",
    }
    return {
        **os.environ,
        "AIOREDLOCK_TEST_SERVERS": os.environ.get("AIOREDLOCK_TEST_SERVERS", "first"),
        "LD_PRELOAD": runtime(),
        "ASAN_OPTIONS": ":".join(f"{name}={value}" for name, value in options.items()),
        "LSAN_OPTIONS": f"suppressions={ROOT / 'tools/lsan.supp'}:print_suppressions=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": f"{library}{os.pathsep}{ROOT / 'tests/python'}",
    }


def blocks(reports: Path) -> list[str]:
    """Every report: the error, or one leak with its stack."""
    found: list[str] = []
    for path in sorted(reports.glob("report.*")):
        text = path.read_text(errors="replace")
        if "LeakSanitizer: detected memory leaks" in text:
            found += [part for part in text.split("\n\n") if re.match(r"(Direct|Indirect) leak of ", part)]
        else:
            found.append(text)
    return found


def counts(report: str) -> bool:
    is_leak = report.startswith(("Direct leak of ", "Indirect leak of "))
    return not is_leak or OURS in report


def check_canary(env: dict[str, str], reports: Path) -> None:
    """A machine on which no leak can be found (ptrace may be forbidden) shows nothing."""
    subprocess.run([sys.executable, "-c", CANARY], env=env, check=True)
    if not any("leak of" in report for report in blocks(reports)):
        sys.exit("LeakSanitizer does not report a planted leak here")
    for path in reports.glob("report.*"):
        path.unlink()


def run_pytest(command: list[str], env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(command, env=env, stdout=out, stderr=out)


def run_tests(env: dict[str, str], reports: Path, jobs: int, arguments: list[str]) -> bool:
    """One pytest for each share, at the same time; what fails, again and alone: a sanitizer makes deadlines
    of a tenth of a second tight, and without one they are kept. Shows what was said; did all pass?"""
    command = [sys.executable, "-m", "pytest", "-p", "support.sharing", *arguments]
    running = []
    for number in range(jobs):
        log = reports / f"pytest-{number}.log"
        mine = [*command, "-o", f"cache_dir={reports / f'cache-{number}'}"]
        running.append((mine, run_pytest([*mine, f"--share={number}/{jobs}"], env, log), log))
    codes = [process.wait() for _, process, _ in running]
    passed = True
    for code, (mine, _, log) in zip(codes, running, strict=True):
        print("\n".join(log.read_text().splitlines()[-1 if code == 0 else 0 :]))
        if code == 0:
            continue
        again = log.with_suffix(".again.log")
        code = run_pytest([*mine, "--last-failed", "--last-failed-no-failures=none"], env, again).wait()
        print("again, alone:", again.read_text())
        passed = passed and code == 0
    return passed


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("library", type=Path)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--deep", action="store_true")
    options, arguments = parser.parse_known_args()
    library = options.library.resolve()
    reports = library.parent / f"{library.name}-reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    os.chdir(ROOT)
    env = environment(library, reports, options.deep)
    check_canary(env, reports)
    passed = run_tests(env, reports, options.jobs, arguments)
    found = blocks(reports)
    ours = [report for report in found if counts(report)]
    print("\n".join(ours))
    print(f"{len(ours)} reports; {len(found) - len(ours)} leaks of the interpreter's own")
    sys.exit(0 if passed and not ours else 1)


if __name__ == "__main__":
    main()
