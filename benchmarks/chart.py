"""Draws the README's chart from the JSON of a whole run."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

# A palette that the colour-blind can tell apart (Okabe and Ito).
OURS, C_FLOOR, REDIS_PY, OLD = "#0072b2", "#8c8c8c", "#e69f00", "#009e73"
INK, FAINT = "#1f2328", "#d0d7de"

Bar = tuple[str, str, float]  # label, colour, value


def find(results: dict[str, Any], scenario: str, *starts: str) -> float:
    """The median of the first figure whose name begins with one of `starts`."""
    figures: dict[str, dict[str, float]] = results["scenarios"][scenario]["figures"]
    for start in starts:
        for name, value in figures.items():
            if name.startswith(start):
                return value["median"]
    raise KeyError(f"{scenario}: no figure {starts}")


def panels(results: dict[str, Any]) -> list[tuple[str, str, list[Bar]]]:
    """What is shown: title, whether more or less is better, and the bars."""
    old = ("aioredlock-py", "stand-in")
    pairs, own, shared = "one_task_pairs", "own_keys_50", "one_key_20"
    return [
        ("One task, its own key\nmicroseconds for each pair", "less is better", [
            ("C, blocking", C_FLOOR, find(results, pairs, "C, two")),
            ("aioredlock_c", OURS, find(results, pairs, "asyncio ours, two")),
            ("redis-py Lock", REDIS_PY, find(results, pairs, "redis-py")),
            ("aioredlock-py", OLD, find(results, pairs, *old)),
        ]),
        ("50 tasks, a key for each\npairs per second", "more is better", [
            ("aioredlock_c", OURS, find(results, own, "ours: pairs")),
            ("redis-py Lock", REDIS_PY, find(results, own, "redis-py: pairs")),
            ("aioredlock-py", OLD, find(results, own, *old)),
        ]),
        ("20 tasks, one key\nmicroseconds for each acquisition", "less is better; logarithmic", [
            ("aioredlock_c", OURS, find(results, shared, "ours: us")),
            ("redis-py Lock", REDIS_PY, find(results, shared, "redis-py: us")),
            ("aioredlock-py", OLD, find(results, shared, *old)),
        ]),
    ]  # fmt: skip


def label(value: float) -> str:
    """Two significant figures or the whole number."""
    if value >= 1000:
        return f"{round(value, -2):,.0f}"
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def draw(results: dict[str, Any], target: Path) -> None:
    """Writes the chart as SVG: bars from zero, or on a scale of powers of ten where the panel says so."""
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    matplotlib.rcParams.update({"svg.hashsalt": "benchmarks", "font.family": "DejaVu Sans", "font.size": 10})
    shown = panels(results)
    figure, axes = pyplot.subplots(1, len(shown), figsize=(11, 3.0), facecolor="white", layout="constrained")
    for axis, (title, better, bars) in zip(axes, shown, strict=True):
        panel(axis, title, better, bars)
    machine = results["machine"]
    what = f"asyncio on CPython {machine['python']}, {machine['server']} on loopback, medians"
    if results["scenarios"]["one_key_20"]["figures"].keys().isdisjoint({"aioredlock-py: us each"}):
        what += "; aioredlock-py played by a stand-in that speaks its commands on its schedule"
    else:
        what += "; aioredlock-py on CPython 3.10, where it runs"
    figure.supxlabel(f"A pair is one acquire and one release. {what}.", fontsize=8.5, color="#57606a")
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, format="svg", facecolor="white", metadata={"Date": None})
    pyplot.close(figure)


def panel(axis: Any, title: str, better: str, bars: list[Bar]) -> None:
    names, colours, values = zip(*bars, strict=True)
    places = range(len(bars))
    axis.barh(places, values, color=colours, height=0.62)
    axis.invert_yaxis()
    axis.set_yticks(places, names, color=INK)
    axis.get_yticklabels()[names.index("aioredlock_c")].set_fontweight("bold")
    if "logarithmic" in better:
        axis.set_xscale("log")
        axis.set_xlim(1, max(values) * 8)
        axis.minorticks_off()
        axis.xaxis.set_major_formatter("{x:,.0f}")
    else:
        axis.set_xlim(0, max(values) * 1.22)
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.locator_params(axis="x", nbins=5)
    for place, value in zip(places, values, strict=True):
        axis.annotate(
            label(value), (value, place), xytext=(4, 0), textcoords="offset points", va="center", color=INK
        )
    axis.set_title(title, fontsize=10.5, loc="left", color=INK)
    axis.set_xlabel(better, fontsize=8.5, color="#57606a", loc="left")
    axis.tick_params(axis="x", labelsize=8, colors="#57606a")
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color=FAINT, linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)
    axis.spines["left"].set_color(FAINT)
