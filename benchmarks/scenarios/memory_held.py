"""Ten thousand held locks, each with its Python object and its renewal."""

from __future__ import annotations

from benchmarks.bench import Bench, Check, Row
from benchmarks.memory import METERS
from benchmarks.stats import Spread

TITLE = "memory per held lock, 10,000 held, renewal included"
TARGET = "<= 1,024 bytes, Python object included"

HELD = 10_000


def run(bench: Bench) -> Row:
    row = Row()
    found: dict[str, list[float]] = {}
    for meter, env in METERS.items():
        found[meter] = []
        for _ in range(bench.rounds(5) if meter == "rss" else 1):
            with bench.server() as server:
                result = bench.worker("memory:held", env=env, url=server.url, count=HELD)
            found[meter].append(result[meter] / HELD)
            if result["lost"]:
                row.notes.append(f"{result['lost']} locks were lost")
    row.checks = [Check("per held lock (RSS)", Spread.of(found["rss"]), 1024, unit="B")]
    row.figures["per held lock, malloc's own count: B"] = Spread.of(found["malloc"])
    return row
