"""Runs both plans for so many seconds, in rounds of a minute, each with a seed of its own.

    SECONDS=60 SEED=n python -m chaos

Ends with status 1 where a judge found a violation, or where too little happened.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from support.servers import found_binaries

from chaos.controller import Setup, Verdict, run_plan
from chaos.plan import PLANS, seed_of_commit

ROUND = 60.0  # seconds of one round at most
AROUND = 7.0  # seconds of a run in which nothing is injected: its processes start, end, and are judged
SHORTEST = 10.0  # seconds that a run takes at least
FAULTS = 200  # in each round of a minute
OF_EACH_PLAN = 60
SHOWN = 20  # violations of a run that are printed


def spans(seconds: float) -> list[float]:
    """The lengths of the rounds that fill so many seconds."""
    rounds = max(1, round(seconds / ROUND))
    return [seconds / rounds] * rounds


def span_of(seconds: float) -> float:
    """For how long a plan injects faults, of a round that takes so many seconds."""
    return seconds / len(PLANS) - AROUND


def show(setup: Setup, verdict: Verdict) -> None:
    faults = ", ".join(f"{kind} {count}" for kind, count in sorted(verdict.faults.items()))
    counts = ", ".join(f"{what} {count}" for what, count in verdict.counts.items())
    total = sum(verdict.faults.values())
    print(f"  {setup.plan}: {total} faults ({faults}); {counts}; {len(verdict.violations)} violations")
    for violation in verdict.violations[:SHOWN]:
        print(f"    {violation}")
    sys.stdout.flush()


def do_round(seed: int, seconds: float, server: str, keep: Path) -> tuple[Counter[str], bool]:
    """Both plans with one seed; the faults of each plan, and whether all was well."""
    print(f"SEED={seed} SECONDS={seconds:g} on {server}", flush=True)
    span = span_of(seconds)
    faults: Counter[str] = Counter()
    well = True
    for plan in PLANS:
        setup = Setup(seed, plan, span, server)
        verdict = run_plan(setup, keep)
        show(setup, verdict)
        faults[plan] = sum(verdict.faults.values())
        well = well and not verdict.violations
    share = span / span_of(ROUND)
    if faults.total() < FAULTS * share or min(faults.values()) < OF_EACH_PLAN * share:
        print(f"  too few faults: {dict(faults)}")
        well = False
    return faults, well


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SECONDS") or 60))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or seed_of_commit()))
    parser.add_argument(
        "--keep", type=Path, default=Path("build/chaos"), help="where failed runs leave files"
    )
    arguments = parser.parse_args()
    if arguments.seconds < SHORTEST * len(PLANS):
        parser.error(f"both plans need {SHORTEST * len(PLANS):g} seconds at least")
    # A run that is told to end ends its processes.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    began = time.monotonic()
    servers = list(found_binaries())
    total: Counter[str] = Counter()
    failed = []
    for i, seconds in enumerate(spans(arguments.seconds)):
        seed = arguments.seed + i
        faults, well = do_round(seed, seconds, servers[seed % len(servers)], arguments.keep)
        total += faults
        if not well:
            failed.append(seed)
    print(f"{total.total()} faults ({dict(total)}) in {time.monotonic() - began:.0f} s")
    print(f"FAILED with the seeds {failed}" if failed else "no violation")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; nothing is left running")
