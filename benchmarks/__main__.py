"""python -m benchmarks: runs the scenarios, prints the table, writes the figures as JSON, draws the chart."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import math
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.bench import ROOT, Bench, Row, WorkerError
from benchmarks.scenarios import ORDER
from benchmarks.server import find_server

RESULTS = ROOT / "benchmarks" / "results.json"
PARTIAL = ROOT / "build" / "benchmarks.json"
CHART = ROOT / "docs" / "_static" / "benchmarks.svg"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"which to run; all of: {', '.join(ORDER)}"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few and short rounds: shows that all runs, proves little"
    )
    parser.add_argument("--output", type=Path, help=f"where the JSON goes ({RESULTS}; of a part: {PARTIAL})")
    parser.add_argument("--chart", type=Path, default=CHART, help="where the chart goes (%(default)s)")
    parser.add_argument(
        "--redraw", action="store_true", help="run nothing; draw the chart anew from the JSON"
    )
    options = parser.parse_args()
    unknown = sorted(set(options.scenarios) - set(ORDER))
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    options.whole = not options.quick and set(options.scenarios) in (set(), set(ORDER))
    options.output = options.output or (RESULTS if options.whole else PARTIAL)
    return options


def main() -> int:
    options = arguments()
    if not options.redraw:
        results = run_all(options.scenarios or list(ORDER), Bench(quick=options.quick))
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n")
        print(f"\nfigures: {options.output}")
        if not options.whole:
            return 0  # a chart is drawn from a whole run only
    from benchmarks import chart

    chart.draw(json.loads(options.output.read_text()), options.chart)
    print(f"chart: {options.chart}")
    return 0


def run_all(names: list[str], bench: Bench) -> dict[str, Any]:
    """Runs and prints; gives what goes into the JSON. One that cannot be run does not stop the others."""
    rows: list[tuple[str, Row | None]] = []
    results: dict[str, Any] = {"machine": machine(), "quick": bench.quick, "scenarios": {}}
    for name in names:
        scenario = importlib.import_module(f"benchmarks.scenarios.{name}")
        begin = time.monotonic()
        try:
            row = scenario.run(bench)
        except (WorkerError, OSError, RuntimeError, subprocess.SubprocessError) as error:
            rows.append((scenario.TITLE, None))
            results["scenarios"][name] = {"title": scenario.TITLE, "error": str(error)}
            print(f"{scenario.TITLE}: failed to run: {error}\n", flush=True)
            continue
        seconds = time.monotonic() - begin
        rows.append((scenario.TITLE, row))
        results["scenarios"][name] = record(scenario.TITLE, scenario.TARGET, row, seconds)
        print("\n".join(table.lines(scenario.TITLE, scenario.TARGET, row, seconds)), "\n", flush=True)
    print("\n".join(table.summary(rows)))
    return results


def record(title: str, target: str, row: Row, seconds: float) -> dict[str, Any]:
    """A row as JSON has it."""
    checks = [{**dataclasses.asdict(check), "met": check.met} for check in row.checks]
    figures = {name: dataclasses.asdict(value) for name, value in row.figures.items()}
    found = {"title": title, "target": target, "met": row.met, "seconds": round(seconds, 1)}
    return {**found, "checks": finite(checks), "figures": finite(figures), "notes": row.notes}


def finite(value: Any) -> Any:
    """JSON has no infinity: null stands for what never came."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    words = subprocess.run([find_server(), "--version"], capture_output=True, text=True).stdout.split()
    version = next((word[2:] for word in words if word.startswith("v=")), "")
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "server": f"{words[0]} {version}",
        "cpus": str(len(Bench().placements["two"].client | Bench().placements["two"].server) or "not pinned"),
    }


if __name__ == "__main__":
    sys.exit(main())
