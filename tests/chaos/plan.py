"""Which fault comes when: a pure function of the seed."""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

WORKERS = 6

# Kinds of faults and how many in a hundred there are of each.
SAFE = {
    "delay": 19,  # each byte is late
    "cut": 22,  # connections end, maybe within a reply
    "black_hole": 11,  # connections are accepted, and what comes vanishes
    "half_open": 13,  # one direction is dead
    "stop": 16,  # a process is stopped, for less than is left of its leases
    "kill": 7,  # a process is killed, and another one started
    "restart": 4,  # the server is killed, and started with its data
    "silence": 4,  # the server is stopped for a while
    "block": 4,  # a body stops its loop for twice its ttl
}
UNSAFE = {
    "delete": 72,  # somebody else deletes the key of a holder
    "stop_beyond": 17,  # a process is stopped until all its leases are over
    "restart_empty": 11,  # the server is killed, and started without data
}
PLANS = {"safe": SAFE, "unsafe": UNSAFE}
RATE = {"safe": 7.0, "unsafe": 4.5}  # faults a second

# How long each kind lasts at the shortest and at the longest, in seconds.
_LASTS = {
    "delay": (0.1, 1.0),
    "black_hole": (0.2, 2.0),
    "half_open": (0.2, 2.0),
    "stop": (0.1, 1.5),
    "restart": (0.0, 0.4),
    "silence": (0.1, 1.2),
    "stop_beyond": (0.1, 0.5),  # beyond the end of the leases
    "restart_empty": (0.0, 0.2),
}
_OF_SERVER = ("restart", "silence", "delete", "restart_empty")


@dataclass(frozen=True)
class Fault:
    """One fault: `at` seconds after the start, of one worker (-1: of the server), for so many seconds.

    amount: seconds that each delay lasts, or bytes of a reply that pass before a cut (-1: cut at once).
    way: how the connection ends (rst or fin) or goes on (rst or dead), and the direction (up or down).
    """

    at: float
    kind: str
    worker: int
    seconds: float
    amount: float
    way: str


def counts(weights: dict[str, int], total: int) -> dict[str, int]:
    """Shares `total` out by the weights: each kind at least once, where there are enough."""
    whole = sum(weights.values())
    shares = {kind: max(1, total * weight // whole) for kind, weight in weights.items()}
    most = max(weights, key=lambda kind: weights[kind])
    shares[most] = max(1, shares[most] + total - sum(shares.values()))
    return shares


def _amount(kind: str, dice: random.Random) -> float:
    if kind == "delay":
        return dice.choice((dice.uniform(0.0, 0.02), dice.uniform(0.02, 0.5)))
    if kind == "cut":
        return dice.choice((-1, dice.randrange(0, 40)))
    return 0.0


def _way(kind: str, dice: random.Random) -> str:
    if kind == "cut":
        return dice.choice(("rst", "fin"))
    if kind == "black_hole":
        return dice.choice(("rst", "dead"))
    if kind == "half_open":
        return dice.choice(("up rst", "up dead", "down rst", "down dead"))
    return ""


def make_plan(seed: int, plan: str, span: float, workers: int = WORKERS, only: str = "") -> list[Fault]:
    """The faults of one run, in order, maybe of one kind only: the same for the same arguments."""
    dice = random.Random(f"{seed} {plan} {span} {workers}")
    total = round(RATE[plan] * span)
    weights = {only: 1} if only else PLANS[plan]
    kinds = [kind for kind, count in counts(weights, total).items() for _ in range(count)]
    dice.shuffle(kinds)
    faults = []
    for i, kind in enumerate(kinds):
        at = (i + dice.random()) * span / len(kinds)
        worker = -1 if kind in _OF_SERVER else dice.randrange(workers)
        seconds = dice.uniform(*_LASTS.get(kind, (0.0, 0.0)))
        faults.append(Fault(at, kind, worker, seconds, _amount(kind, dice), _way(kind, dice)))
    return faults


def seed_of_commit() -> int:
    """The seed that the commit gives; 1 where there is none."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:
        return 1
    return int(done.stdout.strip()[:12], 16) if done.returncode == 0 else 1
