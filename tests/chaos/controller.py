"""One run of one plan: its processes, its faults, and the verdict."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos import judges
from chaos.clock import watch_loop
from chaos.faults import Injector
from chaos.fleet import RegisterProcess, Worker, finish
from chaos.plan import RATE, WORKERS, make_plan
from chaos.proxy import HOST, ChaosProxy
from chaos.records import Done, Hold, read_logs
from chaos.register import Visit
from chaos.server import ChaosServer

TASKS = 10  # of each worker
KEYS = 32
KEYS_GONE_WITHIN = 5.0  # seconds after the last process ended: the longest extended ttl
ENOUGH = 0.75  # of the planned faults must have had an effect


@dataclass
class Setup:
    """What a run is: the same setup gives the same plan."""

    seed: int
    plan: str
    span: float  # seconds of faults
    server: str  # kind, as support.servers has it
    workers: int = WORKERS
    tasks: int = TASKS
    keys: int = KEYS
    only: str = ""  # the one kind of fault, if not all of the plan
    cheat: str = ""  # which lock the workers use (chaos.cheats)


@dataclass
class Verdict:
    """What a run showed."""

    faults: Counter[str]
    counts: dict[str, int]
    violations: list[str]
    holds: list[Hold] = field(repr=False, default_factory=list)


class Run:
    """The processes of a run, from `begin` to `end`."""

    def __init__(self, setup: Setup, directory: Path) -> None:
        self._setup = setup
        self._directory = directory
        self._workers: list[Worker] = []
        self._proxies: list[ChaosProxy] = []
        self._server = ChaosServer(setup.server, directory, keep=setup.plan == "safe")
        self._register: RegisterProcess | None = None
        self.slow: list[Done] = []  # when this process was

    async def begin(self) -> None:
        setup = self._setup
        await self._server.start()
        self._register = RegisterProcess.start(self._directory)
        for index in range(setup.workers):
            proxy = ChaosProxy(HOST, self._server.port)
            await proxy.start()
            self._proxies.append(proxy)
            settings = {
                "plan": setup.plan,
                "seed": setup.seed,
                "port": proxy.port,
                "tasks": setup.tasks,
                "keys": setup.keys,
                "register": self._register.path,
                "cheat": setup.cheat,
            }
            self._workers.append(Worker(index, self._directory, settings))

    async def go(self) -> tuple[list[Done], dict[str, Any], list[str]]:
        """Does the plan; gives its faults, the register's report, and what went wrong besides."""
        assert self._register is not None
        setup = self._setup
        visit = await Visit.begin(self._register.path)
        await self._all_at_work(visit)
        watching = asyncio.ensure_future(watch_loop(self._was_slow))
        dice = random.Random(setup.seed)
        injector = Injector(self._workers, self._proxies, self._server, visit, dice)
        began = time.monotonic()
        tasks = []
        for fault in make_plan(setup.seed, setup.plan, setup.span, setup.workers, setup.only):
            await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
            tasks.append(asyncio.ensure_future(injector.inject(fault)))
        await asyncio.gather(*tasks)
        await asyncio.sleep(max(0.0, began + setup.span - time.monotonic()))
        wrong = await asyncio.to_thread(finish, self._workers)
        wrong += await self._keys_left()
        watching.cancel()
        report = await visit.ask("report")
        visit.end()
        return injector.journal(), report, wrong

    def _was_slow(self, began: float, ended: float) -> None:
        self.slow.append(Done("slow", began, ended))

    async def _all_at_work(self, visit: Visit) -> None:
        """Waits until each process has held something."""
        seen: set[str] = set()
        for _ in range(1000):
            seen.update(hold["hold"].split("/")[0] for hold in await visit.ask("inside"))
            if len(seen) == len(self._workers):
                return
            await asyncio.sleep(0.02)
        raise RuntimeError(f"only {sorted(seen)} work: " + self._said())

    def _said(self) -> str:
        return "".join(path.read_text()[-2000:] for path in sorted(self._directory.glob("*.err")))

    async def _keys_left(self) -> list[str]:
        """Nothing that nobody holds stays on the server for longer than its ttl."""
        until = time.monotonic() + KEYS_GONE_WITHIN
        while keys := await self._server.keys_left():
            if time.monotonic() > until:
                return [f"keys are left on the server: {keys}"]
            await asyncio.sleep(0.05)
        return []

    async def end(self) -> None:
        for worker in self._workers:
            worker.stop()
        if self._register is not None:
            self._register.stop()
        for proxy in self._proxies:
            await proxy.stop()
        await self._server.stop()


def judge(setup: Setup, faults: judges.Faults, report: dict[str, Any], holds: list[Hold]) -> list[str]:
    """All judges' violations."""
    violations = judges.judge_register(report, faults)
    violations += judges.judge_stale_writes(report, holds)
    violations += judges.judge_intervals(holds, faults)
    violations += judges.judge_told(holds, faults)
    if setup.plan == "safe":
        violations += judges.judge_needless(holds)
        violations += judges.judge_kept(holds, faults)
    wanted = round(ENOUGH * RATE[setup.plan] * setup.span)
    violations += judges.judge_traffic(holds, setup.span, setup.workers, len(faults.journal), wanted)
    return violations


async def _run(setup: Setup, directory: Path) -> Verdict:
    run = Run(setup, directory)
    try:
        await run.begin()
        journal, report, wrong = await run.go()
    finally:
        await run.end()
    holds, slow = read_logs(directory)
    violations = wrong + judge(setup, judges.Faults(journal, holds, slow + run.slow), report, holds)
    counts = {
        "acquisitions": len(holds),
        "renewed": sum(hold.renewed for hold in holds),
        "blocked": sum(len(hold.blocked) for hold in holds),
        "losses told": sum(len(hold.told) for hold in holds),
        "writes accepted": report["counts"].get("accepted", 0),
        "writes refused": report["counts"].get("refused", 0) + report["counts"].get("late", 0),
    }
    faults = Counter(fault.kind for fault in journal)
    if faults["block"]:
        faults["block"] = min(faults["block"], counts["blocked"])  # the others were asked for in vain
    return Verdict(+faults, counts, violations, holds)


def run_plan(setup: Setup, keep: Path | None = None) -> Verdict:
    """Does a run and judges it. With `keep` its files stay there where there are violations."""
    directory = Path(tempfile.mkdtemp(prefix="arl-chaos-"))
    try:
        verdict = asyncio.run(_run(setup, directory))
        if verdict.violations and keep is not None:
            target = keep / f"{setup.plan}-{setup.seed}"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(directory, target, ignore=shutil.ignore_patterns("register"))
        return verdict
    finally:
        shutil.rmtree(directory, ignore_errors=True)
