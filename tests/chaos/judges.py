"""The judges of a run: functions of the workers' records, the register's report and the faults' journal.

Each gives its violations in words; none is the verdict wanted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from chaos.records import Done, Hold

# Seconds that an answer may be late. With a third of the ttl it is less than what a renewed lease has
# left: a holder that learns of a deleted key by its lease's end alone is found.
SLACK = 0.3
RECOVERED = 2.0  # seconds after a fault within which connections work again
STOPPING = 0.02  # seconds until a process that is told to stop has stopped
LATE_RELEASE = 1.5  # seconds within which a release that is repeated over a new connection is answered

Holds = list[Hold]


class Faults:
    """The unsafe faults of a run: which tokens the server lost, and when."""

    def __init__(self, journal: list[Done], holds: Holds, slow: Iterable[Done] = ()) -> None:
        self.journal = journal
        self.deleted = {fault.token: fault for fault in journal if fault.kind == "delete"}
        self.emptied = [fault for fault in journal if fault.kind == "restart_empty"]
        self.stopped = [fault for fault in journal if fault.kind == "stop_beyond"]
        self.slow = sorted(
            slow, key=lambda slow: slow.begin
        )  # processes, for whatever reason; "": the run's own
        # Between these a token was set: a lease that is handed on keeps it.
        self._begun: dict[str, float] = {}
        self.first_got: dict[str, float] = {}
        for hold in holds:
            self._begun[hold.token] = min(hold.begun, self._begun.get(hold.token, hold.begun))
            self.first_got[hold.token] = min(hold.got, self.first_got.get(hold.token, hold.got))

    def explain(self, tokens: Iterable[str], at: float) -> bool:
        """Whether the server had lost one of these tokens before `at`."""
        return any(self._lost(token, at) for token in tokens)

    def _lost(self, token: str, at: float) -> bool:
        if token in self.deleted and self.deleted[token].begin <= at:
            return True
        # What is on no record is explained by nothing.
        begun = self._begun.get(token, float("inf"))
        return any(begun <= fault.end and fault.begin <= at for fault in self.emptied)

    def allowed(self, worker: str, since: float, seconds: float) -> float:
        """When these seconds from `since` on are over for a process, the time aside that it could not run."""
        limit = since + seconds + SLACK
        for slow in self.slow:
            if slow.worker in ("", worker) and slow.end > since and slow.begin < limit:
                limit += slow.end - max(since, slow.begin)
        return limit


def judge_register(report: dict[str, Any], faults: Faults) -> list[str]:
    """Judge 1: what the register flagged. What an unsafe fault explains is no violation."""
    return [
        f"register: {flag['what']}: {' and '.join(flag['holds'])} at {flag['key']}, {flag['at']:.4f}"
        for flag in report["flags"]
        if not faults.explain(flag["tokens"], flag["at"])
    ]


def judge_stale_writes(report: dict[str, Any], holds: Holds) -> list[str]:
    """Of the writes that the register accepted none came after a later number was drawn."""
    entries: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for hold in holds:
        if hold.entered is not None:
            entries[hold.key].append((hold.number, hold.entered))
    return [
        f"register: stale write accepted: {name} at {key}, number {number}, {time:.4f}"
        for key, name, number, time in report["journal"]
        if any(other > number and entered < time for other, entered in entries[key])
    ]


def judge_intervals(holds: Holds, faults: Faults) -> list[str]:
    """Judge 2: for each key no two holders believe at a time, but where an unsafe fault explains it."""
    violations = []
    by_key: dict[str, Holds] = defaultdict(list)
    for hold in sorted(holds, key=lambda hold: hold.got):
        by_key[hold.key].append(hold)
    for key, ones in by_key.items():
        longest = ones[0]
        for hold in ones[1:]:
            if hold.got < longest.end and not faults.explain((longest.token, hold.token), hold.got):
                ends = f"{longest.hold} until {longest.end:.4f}"
                violations.append(f"intervals: {key}: {ends}, and {hold.hold} from {hold.got:.4f}")
            if hold.end > longest.end:
                longest = hold
    return violations


def judge_told(holds: Holds, faults: Faults) -> list[str]:
    """Judge 3: every loss is told, once, by the next renewal, on waking, or at the lease's end."""
    violations = [f"told: {hold.hold} lost {len(hold.told)} times" for hold in holds if len(hold.told) > 1]
    by_token: dict[str, Holds] = defaultdict(list)
    for hold in holds:
        by_token[hold.token].append(hold)
        if hold.lost_at is not None and hold.left is not None and not hold.told:
            violations.append(f"told: {hold.hold} is lost, on_lost was not called")
        violations += _revived(hold)
        violations += _on_waking(hold, faults)
        violations += _after_empty_restart(hold, faults)
    for ones in by_token.values():
        violations += _handed_on(ones)
    for token, fault in faults.deleted.items():
        ones = sorted(by_token.get(token, []), key=lambda hold: hold.got)
        if ones and not _repeated(ones[-1], faults):
            violations += _in_time(ones[-1], fault.end, faults, "the key was deleted")
    return violations


def _revived(hold: Hold) -> list[str]:
    """A loss that was told is final."""
    first = min([*hold.told, *(at for at, held in hold.looks if not held)], default=float("inf"))
    if any(held and at > first for at, held in hold.looks):
        return [f"told: {hold.hold} believes again after its loss was told"]
    return []


def _handed_on(ones: Holds) -> list[str]:
    """Of the holds of one token: none comes after another was told that it is lost."""
    lost = min((min([*hold.told, hold.lost_at or float("inf")]) for hold in ones), default=float("inf"))
    return [f"told: {hold.hold} was handed a lease that was lost" for hold in ones if hold.got > lost]


def _in_time(hold: Hold, since: float, faults: Faults, why: str) -> list[str]:
    """A hold whose token the server lost at `since` was told of it before a renewal more was due."""
    known = max(since, hold.got)
    limit = faults.allowed(hold.worker, known, hold.ex / 3)
    ends = [at for at in (hold.lost_at, hold.left) if at is not None]
    if not ends or min(ends) > limit:
        return [f"told: {hold.hold}: {why} at {since:.4f}, told after {limit:.4f}"]
    if not hold.told:
        return [f"told: {hold.hold}: {why} at {since:.4f}, on_lost was not called"]
    return []


def _repeated(hold: Hold, faults: Faults) -> bool:
    """Whether a release may have been sent twice: then nobody can tell what "not yours" means."""
    return hold.left is not None and any(
        fault.begin - LATE_RELEASE < hold.left < fault.end + LATE_RELEASE for fault in faults.emptied
    )


def _on_waking(hold: Hold, faults: Faults) -> list[str]:
    """After a stop for longer than its lease a hold is not believed in at any look, and is told of it."""
    for fault in faults.stopped:
        begin = fault.begin
        if fault.worker != hold.worker or hold.got >= begin:
            continue
        if any(at is not None and at < begin + STOPPING for at in (hold.left, hold.lost_at)):
            continue
        if fault.end < begin + hold.ex:
            continue  # some of its lease may have been left
        if any(held and at > fault.end for at, held in hold.looks):
            return [f"told: {hold.hold} believes after its process was stopped beyond its lease"]
        if not hold.told:
            return [f"told: {hold.hold}: stopped beyond its lease, on_lost was not called"]
        limit = faults.allowed(hold.worker, fault.end, 0.0)
        if hold.told[0] > limit:
            return [f"told: {hold.hold}: on_lost {hold.told[0] - fault.end:.3f} s after waking"]
    return []


def _after_empty_restart(hold: Hold, faults: Faults) -> list[str]:
    """A hold that goes on beyond a restart without data is told of its loss."""
    for fault in faults.emptied:
        if faults.first_got[hold.token] < fault.begin and hold.end > fault.end:
            ends = [at for at in (hold.lost_at, hold.left) if at is not None]
            if not ends or min(ends) > faults.allowed(hold.worker, fault.end, hold.ex / 3):
                return _in_time(hold, fault.end, faults, "the server forgot")
    return []


def judge_needless(holds: Holds) -> list[str]:
    """With safe faults no loss is told of a lease that is not over: the server had kept its key."""
    violations = []
    for hold in holds:
        told = min([*hold.told, *(at for at, held in hold.looks if not held)], default=hold.until)
        if told < hold.until - 0.002:  # a millisecond of it is the worker's
            violations.append(f"told: {hold.hold} lost {hold.until - told:.3f} s before its lease ended")
    return violations


def judge_kept(holds: Holds, faults: Faults) -> list[str]:
    """A hold whose body stopped the loop goes on, unless another fault was in the way of its renewal."""
    others = [fault for fault in (*faults.journal, *faults.slow) if fault.kind != "block"]
    violations = []
    for hold in holds:
        for begin, end in hold.blocked:
            after = [held for at, held in hold.looks if at >= end][:1]
            if after == [False] and not any(_disturbs(fault, hold, begin, end) for fault in others):
                violations.append(f"kept: {hold.hold} is lost after its loop stood still from {begin:.4f}")
    return violations


def _disturbs(fault: Done, hold: Hold, begin: float, end: float) -> bool:
    """Whether something may have kept a lease from being renewed between these times."""
    if fault.kind == "slow" and (fault.worker or fault.end - fault.begin < hold.ex / 3):
        return False  # that the process stood still is what is judged
    concerns = fault.worker.split(".")[0] in ("", hold.worker.split(".")[0])
    return concerns and fault.begin < end and fault.end + RECOVERED > begin - hold.ex


def judge_traffic(holds: Holds, span: float, workers: int, faults: int, wanted: int) -> list[str]:
    """A run with too little of anything proves nothing."""
    processes = {hold.worker.split(".")[0] for hold in holds}
    changes = 0
    by_key: dict[str, Hold] = {}
    for hold in sorted(holds, key=lambda hold: hold.got):
        before = by_key.get(hold.key)
        changes += before is not None and before.worker != hold.worker
        by_key[hold.key] = hold
    counted = {
        "acquisitions": (len(holds), round(10 * span)),
        "times a key went to another process": (changes, round(3 * span)),
        "leases renewed under work": (sum(hold.renewed for hold in holds), round(span / 2)),
        "processes that worked": (len(processes), workers),
        "faults": (faults, wanted),
    }
    few = [(what, count, least) for what, (count, least) in counted.items() if count < least]
    return [f"traffic: {what}: {count} of {least}" for what, count, least in few]
