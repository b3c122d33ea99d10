"""The judges of tests/chaos: each is seen to catch a planted fault, and to let right be right."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from chaos import judges
from chaos.controller import Setup, run_plan
from chaos.plan import PLANS, RATE, WORKERS, counts, make_plan, seed_of_commit
from chaos.proxy import HOST, ChaosProxy
from chaos.records import Done, Hold, read_holds, read_slow
from chaos.register import Register, answer
from support.servers import Server

NOTHING = judges.Faults([], [])


def held(name: str, got: float, until: float, **more: Any) -> Hold:
    """A hold of the key "k", with a token of its own and an ex of one second."""
    return replace(Hold(name, "k", f"token of {name}", 1.0, got, got - 0.1, until), **more)


# ---- the plan ----


@pytest.mark.parametrize("plan", PLANS)
def test_a_seed_gives_the_same_plan_each_time_and_another_seed_another(plan: str) -> None:
    assert make_plan(7, plan, 25.0) == make_plan(7, plan, 25.0)
    assert make_plan(7, plan, 25.0) != make_plan(8, plan, 25.0)


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_has_every_kind_of_fault_in_order_and_within_its_time(plan: str) -> None:
    faults = make_plan(3, plan, 25.0)
    assert {fault.kind for fault in faults} == set(PLANS[plan])
    assert len(faults) == round(25.0 * RATE[plan])
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert all(0 <= fault.at < 25.0 and -1 <= fault.worker < WORKERS for fault in faults)


def test_a_plan_may_be_of_one_kind() -> None:
    assert {fault.kind for fault in make_plan(3, "safe", 5.0, only="kill")} == {"kill"}


def test_faults_are_shared_out_by_weight() -> None:
    assert counts({"a": 70, "b": 29, "c": 1}, 100) == {"a": 70, "b": 29, "c": 1}
    assert counts({"a": 98, "b": 1, "c": 1}, 10) == {"a": 8, "b": 1, "c": 1}


def test_the_commit_gives_a_seed() -> None:
    assert seed_of_commit() == seed_of_commit() > 0


# ---- records ----


def lines(*events: tuple[Any, ...]) -> list[str]:
    return [json.dumps(event) for event in events]


def test_a_hold_is_read_from_its_events() -> None:
    [hold] = read_holds(
        lines(
            ("got", "1.0/2-3", 5.0, "k", "t", 1.0, 5.9),
            ("entered", "1.0/2-3", 5.1, 7),
            ("look", "1.0/2-3", 5.2, True, 6.3),
            ("left", "1.0/2-3", 5.8),
        )
    )
    assert (hold.key, hold.token, hold.number, hold.worker) == ("k", "t", 7, "1.0")
    assert (hold.entered, hold.until, hold.left, hold.renewed, hold.lost_at) == (5.1, 6.3, 5.8, True, None)


def test_an_event_of_a_lease_that_was_over_before_its_task_ran_is_no_hold() -> None:
    assert read_holds(lines(("told", "1.0/2-3", 5.0))) == []


@pytest.mark.parametrize(
    ("more", "end"),
    [
        ({"left": 1.5}, 1.5),
        ({"left": 2.5}, 2.0),  # the lease was over
        ({"looks": [(1.2, True), (1.4, False)], "left": 1.6}, 1.4),
        ({"told": [1.3], "left": 1.6}, 1.3),
        ({"told": [1.7], "left": 1.6}, 1.6),  # told at the release
        ({"looks": [(2.2, True)], "left": 2.5}, 2.2),  # believed beyond the lease's end
        ({}, 2.0),  # killed
    ],
)
def test_a_hold_ends_with_its_belief(more: dict[str, Any], end: float) -> None:
    assert held("a", 1.0, 2.0, **more).end == end


def test_a_slow_process_is_on_record_and_no_hold() -> None:
    slow = lines(("slow", "1.0", 5.0, 5.5))
    assert read_slow(slow) == [Done("slow", 5.0, 5.5, "1.0")]
    assert read_holds(slow) == []


# ---- judge 1 ----


def entering(register: Register, name: str, at: float, until: float, time: float | None = None) -> int:
    return register.enter("k", name, f"token of {name}", 1.0, at, until, at if time is None else time)


def writing(register: Register, name: str, number: int, looked: float, until: float, time: float) -> bool:
    return register.write("k", name, f"token of {name}", number, looked, until, time)


def flagged(register: Register) -> list[str]:
    return [flag["what"] for flag in register.report()["flags"]]


def test_register_draws_rising_numbers_and_accepts_who_is_in() -> None:
    register = Register()
    assert entering(register, "a", 1.0, 2.0) == 1
    assert writing(register, "a", 1, 1.1, 2.0, 1.2)
    register.leave("k", "a")
    assert entering(register, "b", 1.5, 2.5) == 2
    assert flagged(register) == []
    assert register.report()["journal"] == [("k", "a", 1, 1.2)]


def test_register_flags_an_entry_while_occupied() -> None:
    register = Register()
    entering(register, "a", 1.0, 2.0)
    entering(register, "b", 1.5, 2.5)
    assert flagged(register) == ["entered while occupied"]
    [violation] = judges.judge_register(register.report(), NOTHING)
    assert "a and b at k" in violation


def test_register_frees_a_place_when_the_announced_lease_end_has_passed() -> None:
    register = Register()
    entering(register, "a", 1.0, 2.0)
    assert entering(register, "b", 2.0, 3.0) == 2
    assert flagged(register) == []


def test_register_learns_of_a_renewal_from_a_write() -> None:
    register = Register()
    entering(register, "a", 1.0, 2.0)
    assert writing(register, "a", 1, 1.4, 2.3, 1.5)
    entering(register, "b", 2.2, 3.0)
    assert flagged(register) == ["entered while occupied"]


def test_register_refuses_a_lower_number_and_flags_it_where_the_writer_rightly_believed() -> None:
    register = Register()
    entering(register, "a", 1.0, 2.0)
    register.leave("k", "a")
    entering(register, "b", 1.5, 2.5)
    assert not writing(register, "a", 1, 1.6, 2.0, 1.7)
    assert flagged(register) == ["a believer's write refused"]


def test_a_lease_that_is_handed_on_keeps_its_number_and_comes_too_late_after_a_higher_one() -> None:
    register = Register()
    entering(register, "a", 1.0, 2.0)
    register.leave("k", "a")
    assert register.enter("k", "a2", "token of a", 1.0, 1.2, 2.0, 1.2) == 1
    register.leave("k", "a2")
    assert entering(register, "b", 1.3, 2.3) == 2
    assert register.enter("k", "a3", "token of a", 1.0, 1.4, 2.0, 1.4) == 0
    assert flagged(register) == ["a believer's entry refused"]
    assert not register.write("k", "a2", "token of a", 1, 1.25, 2.0, 1.4)


def test_a_write_that_was_slow_on_its_way_is_refused_and_no_violation() -> None:
    register = Register()
    entering(register, "a", 1.0, 2.0)
    entering(register, "b", 2.1, 3.0)
    assert not writing(register, "a", 1, 1.9, 2.0, 2.2)
    assert not writing(register, "b", 2, 2.9, 3.0, 3.1)  # nobody came after, but the lease is over
    assert flagged(register) == []


def test_a_write_or_an_entry_after_leaving_is_refused() -> None:
    register = Register()
    assert entering(register, "a", 1.0, 2.0, time=2.5) == 0  # its process was stopped before it entered
    entering(register, "b", 2.6, 3.6)
    register.leave("k", "b")
    assert not writing(register, "b", 1, 2.7, 3.6, 2.8)
    assert register.inside(2.8) == []


def test_register_answers_lines() -> None:
    register = Register()
    assert answer(register, ["enter", "k", "a", "t", 1.0, 1.0, 2.0], 1.1) == 1
    assert answer(register, ["inside"], 1.2) == register.inside(1.2) != []
    assert answer(register, ["write", "k", "a", "t", 1, 1.2, 2.0], 1.3) is True
    answer(register, ["leave", "k", "a"], 1.4)
    assert answer(register, ["inside"], 1.5) == []


def test_what_the_server_lost_explains_an_entry_and_nothing_else_does() -> None:
    register = Register()
    entering(register, "a", 1.0, 2.0)
    entering(register, "b", 1.5, 2.5)
    holds = [held("a", 1.0, 2.0), held("b", 1.5, 2.5)]

    def violations(*faults: Done) -> int:
        return len(judges.judge_register(register.report(), judges.Faults(list(faults), holds)))

    assert violations(Done("delete", 1.3, 1.4, token="token of a")) == 0
    assert violations(Done("delete", 1.3, 1.4, token="token of b")) == 0
    assert violations(Done("delete", 1.3, 1.4, token="token of c")) == 1
    assert violations(Done("delete", 1.6, 1.7, token="token of a")) == 1  # only later
    assert violations(Done("restart_empty", 1.2, 1.4)) == 0
    assert violations(Done("restart_empty", 0.7, 0.8)) == 1  # before
    assert violations(Done("stop_beyond", 1.1, 1.4, worker="a")) == 1


def test_a_stale_write_that_was_accepted_is_found() -> None:
    holds = [held("a", 1.0, 2.0, entered=1.1, number=1), held("b", 2.1, 3.0, entered=2.2, number=2)]
    assert judges.judge_stale_writes({"journal": [("k", "a", 1, 2.15), ("k", "b", 2, 2.3)]}, holds) == []
    [violation] = judges.judge_stale_writes({"journal": [("k", "a", 1, 2.25)]}, holds)
    assert "a at k, number 1" in violation


# ---- judge 2 ----


def test_intervals_that_touch_do_not_overlap() -> None:
    holds = [
        held("a", 1.0, 2.0, left=1.5),
        held("b", 1.5, 2.5, left=2.5),
        replace(held("c", 1.2, 2), key="l"),
    ]
    assert judges.judge_intervals(holds, NOTHING) == []


@pytest.mark.parametrize(
    "first",
    [
        held("a", 1.0, 2.0, left=1.6),
        held("a", 1.0, 1.6),
        held("a", 1.0, 1.3, looks=[(1.6, True)], left=1.7),
    ],
)
def test_an_overlap_is_found_whatever_ends_the_first_interval(first: Hold) -> None:
    [violation] = judges.judge_intervals([held("b", 1.5, 2.5), first], NOTHING)
    assert violation.startswith("intervals: k: a until 1.6")
    excuse = judges.Faults([Done("delete", 1.4, 1.4, token=first.token)], [first])
    assert judges.judge_intervals([held("b", 1.5, 2.5), first], excuse) == []


def test_an_overlap_with_a_hold_that_began_long_before_is_found() -> None:
    holds = [held("a", 1.0, 9.0), held("b", 1.2, 1.3), held("c", 5.0, 6.0)]
    assert len(judges.judge_intervals(holds, NOTHING)) == 2


# ---- judge 3 ----


def told(hold: Hold, *faults: Done) -> list[str]:
    slow = [fault for fault in faults if fault.kind == "slow"]
    return judges.judge_told([hold], judges.Faults([f for f in faults if f not in slow], [hold], slow))


DELETED = Done("delete", 1.3, 1.31, token="token of a")
EMPTIED = Done("restart_empty", 1.3, 1.5)
SLOW = Done("slow", 1.4, 1.7, worker="a")
STOPPED = Done("stop_beyond", 1.3, 2.5, worker="a")


@pytest.mark.parametrize("fault", [DELETED, EMPTIED])
def test_a_loss_that_the_server_must_tell_is_told_in_time(fault: Done) -> None:
    late = 1.5 + 1 / 3 + judges.SLACK + 0.1
    assert told(held("a", 1.0, 2.0, told=[1.7], left=1.8), fault) == []
    assert told(held("a", 1.0, 9.0, looks=[(late, True)], told=[late], left=late), fault) != []
    assert told(held("a", 1.0, 9.0), fault) != []  # never
    assert told(held("a", 1.0, 2.0, looks=[(1.7, False)], left=1.8), fault) != []  # on_lost was not called


def test_a_lease_that_was_handed_on_after_the_server_forgot_is_told_of_too() -> None:
    first = held("a", 1.0, 2.0, left=1.6)
    second = replace(held("b", 1.61, 2.0, looks=[(2.5, True)], left=2.6), token=first.token)
    assert judges.judge_told([first, second], judges.Faults([EMPTIED], [first, second])) != []
    second.token = "another"
    assert judges.judge_told([first, second], judges.Faults([EMPTIED], [first, second])) == []


def test_a_deletion_that_the_release_finds_is_told_too() -> None:
    assert told(held("a", 1.0, 2.0, left=1.4, told=[1.41]), DELETED) == []
    assert told(held("a", 1.0, 2.0, left=1.4), DELETED) != []
    # Sent again over a new connection, "not yours" may be the answer to a release that was done.
    assert told(held("a", 1.0, 2.0, left=1.4), DELETED, EMPTIED) == []


def test_a_process_has_the_time_that_it_could_not_run() -> None:
    hold = held("a/1", 1.0, 9.0, told=[1.3 + 1 / 3 + judges.SLACK + 0.2], left=4.0)
    deleted = Done("delete", 1.3, 1.31, token="token of a/1")
    assert told(hold, deleted) != []
    assert told(hold, deleted, SLOW) == []
    assert told(hold, deleted, replace(SLOW, worker="")) == []
    assert told(hold, deleted, replace(SLOW, worker="b")) != []
    assert told(hold, deleted, replace(SLOW, begin=5.0, end=6.0)) != []


def test_a_stop_beyond_the_lease_is_told_on_waking() -> None:
    name = "a/1"
    assert told(held(name, 1.0, 2.0, looks=[(2.51, False)], told=[2.52], left=2.6), STOPPED) == []
    assert told(held(name, 1.0, 2.0, left=1.2), STOPPED) == []  # left before
    assert told(held(name, 1.0, 2.0, told=[1.2], left=2.6), STOPPED) == []  # lost before
    assert told(held(name, 1.4, 2.0, left=2.6), STOPPED) == []  # came after
    assert told(held(name, 1.0, 2.0, looks=[(2.51, True)], told=[2.52], left=2.6), STOPPED) != []
    assert told(held(name, 1.0, 2.0, left=2.6), STOPPED) != []
    assert told(held(name, 1.0, 2.0, told=[2.5 + judges.SLACK + 0.1], left=4.0), STOPPED) != []


def test_a_loss_is_told_once_and_is_final() -> None:
    assert told(held("a", 1.0, 2.0, told=[1.5], left=1.6)) == []
    assert told(held("a", 1.0, 2.0, told=[1.5, 1.55], left=1.6)) != []
    assert told(held("a", 1.0, 2.0, told=[1.5], looks=[(1.55, True)], left=1.6)) != []
    assert told(held("a", 1.0, 2.0, looks=[(1.5, False), (1.55, True)], told=[1.6], left=1.7)) != []


def test_a_lost_lease_is_not_handed_on() -> None:
    first = held("a", 1.0, 2.0, told=[1.5], left=1.6)
    second = replace(held("b", 1.61, 2.0, left=1.7), token=first.token)
    assert judges.judge_told([first, second], NOTHING) != []
    second.got = 1.4
    assert judges.judge_told([first, second], NOTHING) == []


def test_a_loss_told_of_a_lease_that_goes_on_is_found() -> None:
    assert judges.judge_needless([held("a", 1.0, 2.0, told=[2.0]), held("b", 1.0, 2.0, left=1.5)]) == []
    assert judges.judge_needless([held("a", 1.0, 2.0, told=[1.9])]) != []
    assert judges.judge_needless([held("a", 1.0, 2.0, looks=[(1.9, False)])]) != []


def test_a_hold_that_a_stopped_loop_cost_is_found_unless_another_fault_did_it() -> None:
    hold = held("1.0/a", 1.0, 2.0, blocked=[(1.5, 3.5)], looks=[(1.4, True), (3.6, False)], left=3.7)

    def violations(*faults: Done, slow: Iterable[Done] = ()) -> int:
        return len(judges.judge_kept([hold], judges.Faults(list(faults), [hold], slow)))

    assert violations() == 1
    assert violations(Done("block", 1.4, 1.4, "1.0"), Done("cut", 2.0, 2.0, "2.0")) == 1
    assert violations(Done("cut", 2.0, 2.0, "1.0")) == 0
    assert violations(Done("cut", 2.0, 2.0, "1.1")) == 0  # a proxy serves all generations of a worker
    assert violations(Done("restart", 0.1, 0.2)) == 0
    assert violations(slow=[Done("slow", 1.5, 3.5, "1.0")]) == 1
    assert violations(slow=[Done("slow", 2.0, 2.3)]) == 1
    assert violations(slow=[Done("slow", 2.0, 2.9)]) == 0  # the proxies did not run
    hold.looks[1] = (3.6, True)
    assert violations() == 0


# ---- traffic ----


def test_a_run_with_too_little_of_anything_does_not_count() -> None:
    plenty = [held(f"{i % 3}.0/{i}", float(i), i + 0.5, renewed=True) for i in range(40)]

    def few(holds: list[Hold], faults: int = 9) -> Counter[str]:
        found = judges.judge_traffic(holds, 2.0, 3, faults, 9)
        return Counter(violation.split(":")[1].strip() for violation in found)

    assert not few(plenty)
    assert few(plenty, faults=8) == {"faults": 1}
    assert few(plenty[:19])["acquisitions"] == 1
    assert few([replace(hold, hold="1.0/1") for hold in plenty]).keys() == {
        "processes that worked",
        "times a key went to another process",
    }
    assert few([replace(hold, renewed=False) for hold in plenty]) == {"leases renewed under work": 1}


# ---- the proxy ----


def through_proxy(test: Callable[[ChaosProxy, Any, Any], Any]) -> None:
    """Runs a test with a connection through a proxy to a server that echoes."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(100):
            writer.write(chunk)
        writer.close()

    async def main() -> None:
        target = await asyncio.start_server(echo, HOST, 0)
        proxy = ChaosProxy(HOST, target.sockets[0].getsockname()[1])
        await proxy.start()
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        try:
            await asyncio.wait_for(test(proxy, reader, writer), 10)
        finally:
            writer.close()
            await proxy.stop()
            target.close()

    asyncio.run(main())


def test_proxy_delays() -> None:
    async def test(proxy: ChaosProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        fault = asyncio.ensure_future(proxy.delay(0.1, 0.1))
        await asyncio.sleep(0)
        began = loop.time()
        writer.write(b"late")
        assert await reader.readexactly(4) == b"late"
        assert loop.time() - began > 0.09
        assert await fault

    through_proxy(test)


@pytest.mark.parametrize("way", ["rst", "fin"])
def test_proxy_cuts_within_a_reply(way: str) -> None:
    async def test(proxy: ChaosProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = asyncio.ensure_future(proxy.cut(2, way))
        await asyncio.sleep(0)
        writer.write(b"word")
        assert await reader.readexactly(2) == b"wo"
        if way == "rst":
            with pytest.raises(ConnectionResetError):
                await reader.read()
        else:
            assert await reader.read() == b""
        assert await fault
        assert not await proxy.cut(-1, way)  # nothing is there to be cut

    through_proxy(test)


@pytest.mark.parametrize("directions", [("up", "down"), ("up",), ("down",)])
def test_proxy_swallows_in_each_direction_and_resets_what_lost_bytes(directions: tuple[str, ...]) -> None:
    async def test(proxy: ChaosProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = asyncio.ensure_future(proxy.swallow(directions, 0.1, "rst"))
        await asyncio.sleep(0)
        writer.write(b"lost")
        with pytest.raises(ConnectionResetError):
            assert await reader.read() == b""
        assert await fault

    through_proxy(test)


def test_what_lost_bytes_stays_dead() -> None:
    async def test(proxy: ChaosProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = asyncio.ensure_future(proxy.swallow(("down",), 0.05, "dead"))
        await asyncio.sleep(0)
        writer.write(b"lost")
        assert await fault
        writer.write(b"lost too")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)

    through_proxy(test)


def test_a_request_in_hand_reaches_the_server_after_its_connection_ended() -> None:
    arrived = asyncio.Event()

    async def main() -> None:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if await reader.read(100) == b"late":
                arrived.set()
            writer.close()

        target = await asyncio.start_server(take, HOST, 0)
        proxy = ChaosProxy(HOST, target.sockets[0].getsockname()[1])
        await proxy.start()
        fault = asyncio.ensure_future(proxy.delay(0.2, 0.1))
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        writer.write(b"late")
        await asyncio.sleep(0.05)
        assert await proxy.cut(-1, "rst") and not arrived.is_set()
        await asyncio.wait_for(arrived.wait(), 5)
        await fault
        writer.close()
        await proxy.stop()
        target.close()

    asyncio.run(main())


# ---- planted faults in real processes ----


# How many of the holds a stop meets between two looks is chance: the register need not see each of these.
@pytest.mark.exact
@pytest.mark.parametrize(
    ("cheat", "plan", "only", "caught_by", "let_pass_by"),
    [
        ("early", "safe", "delay", {"register", "intervals"}, set()),
        ("unasked", "safe", "delay", {"register", "intervals"}, set()),
        ("lasting", "unsafe", "stop_beyond", {"register", "intervals"}, set()),
        ("deaf", "unsafe", "stop_beyond", {"intervals", "told"}, set()),
        ("tardy", "unsafe", "delete", {"told"}, set()),
        ("mute", "unsafe", "delete", {"told"}, {"register", "intervals"}),
        ("unwatched", "safe", "block", {"kept"}, {"register", "intervals", "told"}),
    ],
)
def test_judges_catch_a_lock_with_a_planted_fault(
    any_server: Server, cheat: str, plan: str, only: str, caught_by: set[str], let_pass_by: set[str]
) -> None:
    setup = Setup(1, plan, 2.0, any_server.kind, workers=3, tasks=5, keys=3, only=only, cheat=cheat)
    verdict = run_plan(setup)
    caught = {violation.split(":")[0] for violation in verdict.violations}
    assert caught_by <= caught, verdict.violations
    assert not caught & let_pass_by, verdict.violations
