"""Many wait for one key in this process: their order, the hand-off, and what the server sees of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from conftest import Run
from support.clients import Client, free, held_by_another, on_server, value_of
from support.monitor import Monitor
from support.servers import Server
from support.waiting import aeventually, turns

from aioredlock_c import LockNotOwnedError, Redisson

pytestmark = pytest.mark.portable


async def start_waiting(locks: list[Redisson]) -> list[asyncio.Task[bool]]:
    """A task for each lock that waits in acquire(), begun in this order."""
    tasks = []
    for lock in locks:
        tasks.append(asyncio.create_task(lock.acquire()))
        await turns(1)
    return tasks


def waiters(redis: Client, key: str, count: int, **options: Any) -> list[Redisson]:
    return [Redisson(redis, key=key, **{"retry_count": None, **options}) for _ in range(count)]


def test_first_come_first_served(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        order: list[int] = []

        async def one(number: int, lock: Redisson) -> None:
            async with lock:
                order.append(number)
                await turns(2)

        async with Redisson(redis, key=key):
            tasks = []
            for number, lock in enumerate(waiters(redis, key, 20)):
                tasks.append(asyncio.create_task(one(number, lock)))
                await turns(1)
        await asyncio.gather(*tasks)
        assert order == list(range(20))

    run(main, server)


def test_twenty_in_turn_each_see_their_own_token(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> list[str]:
        tokens: list[str] = []

        async def one(lock: Redisson) -> None:
            async with lock:
                assert await redis.get(on_server(key)) == lock.uuid().encode()
                assert lock.is_locked()
                tokens.append(lock.uuid())

        await asyncio.gather(*map(one, waiters(redis, key, 20)))
        return tokens

    with Monitor(server) as monitor:
        tokens = run(main, server)
        sets = monitor.of("SET", on_server(key))
    assert len(tokens) == 20
    # Handed on within a turn: fewer leases from the server than holders.
    assert len(set(tokens)) < 20
    assert {words.words[2] for words in sets} >= set(tokens)


def test_a_hand_off_needs_no_round_trip(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        first, second = waiters(redis, key, 2)
        assert await first.acquire()
        (task,) = await start_waiting([second])
        releasing = first.release()
        with pytest.raises(StopIteration):  # done without waiting for anything
            releasing.send(None)
        await turns(2)
        assert task.done() and second.is_locked() and not first.is_locked()
        assert first.uuid() == second.uuid() == value_of(any_server, key)
        await second.release()

    with Monitor(any_server) as monitor:
        run(main, any_server)
        assert len(monitor.of("SET", on_server(key))) == 1


def test_cancelled_in_the_very_turn_of_the_hand_off(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        first, second, third = waiters(redis, key, 3)
        assert await first.acquire()
        tasks = await start_waiting([second, third])
        releasing = first.release()
        with pytest.raises(StopIteration):
            releasing.send(None)
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        assert await asyncio.wait_for(tasks[1], 5) is True
        assert not second.is_locked() and third.is_locked()
        assert value_of(any_server, key) == third.uuid()
        await third.release()
        assert value_of(any_server, key) is None

    run(main, any_server)


def test_the_last_waiter_cancelled_in_that_turn_leaves_no_key(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        first, second = waiters(redis, key, 2)
        assert await first.acquire()
        (task,) = await start_waiting([second])
        await first.release()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await aeventually(lambda: value_of(any_server, key) is None, 1)
        assert await second.acquire()
        await second.release()

    run(main, any_server)


def test_a_second_release_of_the_former_holder_harms_nobody(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        first, second = waiters(redis, key, 2)
        assert await first.acquire()
        (task,) = await start_waiting([second])
        await first.release()
        assert await task
        with pytest.raises(LockNotOwnedError):
            await first.release()
        with pytest.raises(LockNotOwnedError):
            await first.extend(60)
        await turns(5)
        assert second.is_locked()
        assert value_of(any_server, key) == second.uuid()
        await second.release()

    run(main, any_server)


@pytest.mark.parametrize(("first_ex", "second_ex"), [(1.5, 0.25), (0.25, 1.0)])
@pytest.mark.exact
def test_no_key_outlives_its_holders_ex(
    run: Run, any_server: Server, key: str, first_ex: float, second_ex: float
) -> None:
    async def main(redis: Client) -> None:
        holding: list[float] = []  # ex of the one whose body runs
        done = asyncio.Event()

        async def hold(ex: float) -> None:
            async with Redisson(redis, key=key, ex=ex, retry_count=None) as lock:
                assert lock is not None
                holding.append(ex)
                await asyncio.sleep((3 if ex < 1 else 1.2) * ex)
                assert lock.is_locked()
                assert await redis.get(on_server(key)) == lock.uuid().encode()
                assert holding.pop() == ex

        async def watch() -> int:
            looks = 0
            while not done.is_set():
                before = list(holding)
                left = await redis.pttl(on_server(key))
                if before and before == holding:
                    looks += 1
                    assert 0 < left <= before[0] * 1000
                await asyncio.sleep(0.005)
            return looks

        watching = asyncio.create_task(watch())
        first = asyncio.create_task(hold(first_ex))
        await aeventually(lambda: holding)
        await asyncio.gather(first, hold(second_ex))
        done.set()
        assert await watching > 50

    run(main, any_server)


def test_more_left_than_its_ex_is_not_handed_on(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        long, short = Redisson(redis, key=key, ex=30), Redisson(redis, key=key, ex=2, retry_count=None)
        assert await long.acquire()
        (task,) = await start_waiting([short])
        await long.release()
        assert await asyncio.wait_for(task, 5)
        assert short.uuid() != long.uuid()
        assert 0 < any_server.admin().pttl(on_server(key)) <= 2000
        await short.release()

    run(main, any_server)


def test_a_lost_lease_is_not_handed_on(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        first, second = waiters(redis, key, 2, ex=0.6)
        async with first:
            (task,) = await start_waiting([second])
            free(server, key)
            # The wait queue goes on at once, without waiting for the body that lost the lock.
            assert await asyncio.wait_for(task, 2) is True
            assert not first.is_locked()
            assert second.uuid() != first.uuid()
            assert value_of(server, key) == second.uuid()
        assert second.is_locked()
        assert value_of(server, key) == second.uuid()
        await second.release()

    run(main, server)


def test_twenty_waiters_poll_as_one_client(run: Run, any_server: Server, key: str) -> None:
    held_by_another(any_server, key)

    async def main(redis: Client) -> None:
        async with Redisson(redis, key=f"{key}-warm-up"):
            pass
        locks = waiters(redis, key, 20)
        tasks = await start_waiting(locks)
        await asyncio.sleep(1.2)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    with Monitor(any_server) as monitor:
        run(main, any_server)
        sets = monitor.of("SET", on_server(key))
    free(any_server, key)
    # One polite client: pauses of 0.02-0.1 s three times, growing by 0.06 s each from then on.
    assert 5 <= len(sets) <= 14
    for this, following in zip(sets, sets[1:], strict=False):
        assert following.at - this.at > 0.017


def test_behind_a_holder_of_this_process_no_try_is_sent(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key):
            start = time.monotonic()
            async with Redisson(redis, key=key, retry_count=5, sleeptime_l=0.02, sleeptime_h=0.02) as lock:
                assert lock is None
            took = time.monotonic() - start
            assert 5 * 0.02 + 0.02 * 3 - 0.005 <= took <= 0.3  # the documented schedule, all the same

    with Monitor(any_server) as monitor:
        run(main, any_server)
        assert len(monitor.of("SET", on_server(key))) == 1


def test_giving_up_in_the_middle_of_the_queue(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        first, last = waiters(redis, key, 2)
        middle = Redisson(redis, key=key, blocking_timeout=0.1)
        assert await first.acquire()
        tasks = await start_waiting([middle, last])
        assert await tasks[0] is False
        await first.release()
        assert await tasks[1] is True
        await last.release()

    run(main, any_server)


def test_blocking_false_asks_nobody_while_this_process_holds_or_waits(
    run: Run, any_server: Server, key: str
) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key):
            assert await Redisson(redis, key=key).acquire(blocking=False) is False
        held_by_another(any_server, key)
        (task,) = await start_waiting(waiters(redis, key, 1, sleeptime_l=5, sleeptime_h=5))
        await turns(5)
        assert await Redisson(redis, key=key).acquire(blocking=False) is False
        task.cancel()
        await asyncio.wait([task])
        free(any_server, key)

    with Monitor(any_server) as monitor:
        run(main, any_server)
        assert len(monitor.of("SET", on_server(key))) <= 3  # ours and the other's


def test_at_the_end_of_a_turn_the_key_lies_free_for_others(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        ended = asyncio.Event()

        async def saturate() -> None:
            while not ended.is_set():
                async with Redisson(redis, key=key, retry_count=None):
                    await asyncio.sleep(0.003)

        tasks = [asyncio.create_task(saturate()) for _ in range(4)]
        for _ in range(3):  # a stranger that polls gets in, and again
            end = time.monotonic() + 5
            while not await redis.set(on_server(key), "stranger", nx=True, px=1000):
                assert time.monotonic() < end
                await asyncio.sleep(0.002)
            await asyncio.sleep(0.02)
            assert await redis.get(on_server(key)) == b"stranger"
            await redis.delete(on_server(key))
        ended.set()
        await asyncio.gather(*tasks)

    run(main, server)


def test_one_task_alone_never_pauses(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        start = time.monotonic()
        for _ in range(300):
            async with Redisson(redis, key=key, sleeptime_l=0.5, sleeptime_h=0.5) as lock:
                assert lock is not None
        assert time.monotonic() - start < 5

    run(main, any_server)


def test_a_thousand_on_one_key_and_nobody_gives_up(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> int:
        inside = count = 0

        async def one(lock: Redisson) -> None:
            nonlocal inside, count
            for _ in range(3):
                async with lock as entered:
                    assert entered is lock
                    inside += 1
                    assert inside == 1
                    await asyncio.sleep(0)
                    inside -= 1
                    count += 1

        await asyncio.gather(*map(one, waiters(redis, key, 1000)))
        return count

    assert run(main, any_server) == 3000
