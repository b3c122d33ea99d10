"""Giving the lock back, lengthening the lease, and using one object again."""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Any

import pytest
from conftest import Run
from support.clients import Client, free, held_by_another, on_server, value_of
from support.servers import Server
from support.waiting import aeventually, turns

from aioredlock_c import LockNotOwnedError, Redisson

pytestmark = pytest.mark.portable


def test_release_of_what_is_not_held(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        with pytest.raises(LockNotOwnedError, match=key):
            await lock.release()
        assert await lock.acquire() is True
        await lock.release()
        with pytest.raises(LockNotOwnedError):
            await lock.release()

    run(main, any_server)


def test_release_answered_no(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        assert await lock.acquire()
        held_by_another(server, key)
        with pytest.raises(LockNotOwnedError):
            await lock.release()
        assert not lock.is_locked()
        assert value_of(server, key) == "another"
        free(server, key)

    run(main, server)


def test_leaving_a_lost_lock_warns_and_does_not_raise(
    run: Run, any_server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key):
            held_by_another(any_server, key)
        assert value_of(any_server, key) == "another"
        free(any_server, key)

    with caplog.at_level(logging.WARNING, "aioredlock_c"):
        run(main, any_server)
    warnings = [record for record in caplog.records if record.name == "aioredlock_c"]
    assert [record.levelno for record in warnings] == [logging.WARNING]
    assert key in warnings[0].getMessage()


def test_a_body_that_releases_by_itself_may_be_left(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key) as lock:
            assert lock is not None
            await lock.release()
            assert value_of(any_server, key) is None

    run(main, any_server)


def test_belief_is_dropped_before_the_release_is_sent(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        assert await lock.acquire()
        leaving = asyncio.create_task(lock.release())
        await turns(1)
        assert not lock.is_locked() and lock.remaining() == 0.0
        await leaving

    run(main, any_server)


def test_extend_lengthens_and_never_shortens(run: Run, server: Server, key: str) -> None:
    admin = server.admin()

    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, ex=10)
        assert await lock.acquire()
        await lock.extend(30)
        assert 29_000 < admin.pttl(on_server(key)) <= 30_000
        assert 29 < lock.remaining() < 30
        await lock.extend(1)
        assert 28_000 < admin.pttl(on_server(key)) <= 30_000
        assert 28 < lock.remaining() < 30
        await lock.release()

    run(main, server)


def test_extend_of_what_is_not_held(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        with pytest.raises(LockNotOwnedError, match=key):
            await lock.extend(5)
        assert await lock.acquire()
        free(server, key)
        with pytest.raises(LockNotOwnedError):
            await lock.extend(5)
        assert not lock.is_locked()
        assert value_of(server, key) is None

    run(main, server)


def test_extend_released_meanwhile(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        assert await lock.acquire()
        extending = asyncio.create_task(lock.extend(20))
        releasing = asyncio.create_task(lock.release())
        results = await asyncio.gather(extending, releasing, return_exceptions=True)
        assert isinstance(results[0], LockNotOwnedError) and results[1] is None
        assert value_of(any_server, key) is None

    run(main, any_server)


@pytest.mark.parametrize(
    ("seconds", "kind"),
    [(0, ValueError), (-1, ValueError), (0.01, ValueError), (float("nan"), ValueError), (1e10, ValueError),
     ("5", TypeError), (None, TypeError), (True, TypeError)],
)  # fmt: skip
def test_extend_checks_its_seconds(
    run: Run, any_server: Server, key: str, seconds: Any, kind: type[Exception]
) -> None:
    async def main(redis: Client) -> None:
        async with Redisson(redis, key=key) as lock:
            assert lock is not None
            with pytest.raises(kind, match="seconds"):
                await lock.extend(seconds)
            assert lock.is_locked()

    run(main, any_server)


def test_locked_tells_whether_anybody_holds_it(run: Run, server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        one, two = Redisson(redis, key=key), Redisson(redis, key=key)
        assert await one.locked() is False
        async with one:
            assert await one.locked() is True
            assert await two.locked() is True
            assert not two.is_locked()
        assert await two.locked() is False
        held_by_another(server, key)
        assert await one.locked() is True
        free(server, key)

    run(main, server)


def test_used_again_and_again_with_fresh_tokens(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock, tokens = Redisson(redis, key=key), set()
        for _ in range(500):
            async with lock as entered:
                assert entered is lock
                tokens.add(lock.uuid())
            assert lock.uuid() in tokens  # the last lease's
        assert value_of(any_server, key) is None
        for _ in range(500):
            assert await lock.acquire()
            tokens.add(lock.uuid())
            await lock.release()
        assert len(tokens) == 1000
        assert all(uuid.UUID(token).version == 4 for token in tokens)

    run(main, any_server)


def in_use(key: str) -> str:
    return (
        f"lock {key!r} is in use by another task of this process: "
        "make one Redisson for each `async with`; it costs nothing"
    )


def test_a_second_entry_while_held_raises_and_harms_nothing(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        async with lock:
            token = lock.uuid()
            for enter in (lock.__aenter__, lock.acquire):
                with pytest.raises(RuntimeError) as caught:
                    await enter()
                assert str(caught.value) == in_use(key)
            assert lock.is_locked() and lock.uuid() == token == value_of(any_server, key)
        assert value_of(any_server, key) is None

    run(main, any_server)


def test_a_second_entry_while_acquiring_raises_and_harms_nothing(
    run: Run, any_server: Server, key: str
) -> None:
    held_by_another(any_server, key)

    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, retry_count=None, sleeptime_l=0.02, sleeptime_h=0.04)
        waiting = asyncio.create_task(lock.acquire())
        await turns(3)
        with pytest.raises(RuntimeError) as caught:
            async with lock:
                pytest.fail("entered twice")
        assert str(caught.value) == in_use(key)
        free(any_server, key)
        assert await waiting is True
        assert value_of(any_server, key) == lock.uuid()
        await lock.release()

    run(main, any_server)


def test_the_body_stays_entered_though_the_lease_is_lost(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key, ex=0.3)
        async with lock:
            free(any_server, key)
            await aeventually(lambda: not lock.is_locked())
            with pytest.raises(RuntimeError, match="in use"):
                await lock.acquire()
        assert await lock.acquire() is True  # left: it may be entered again
        free(any_server, key)
        await aeventually(lambda: not lock.is_locked())
        assert await lock.acquire() is True  # after acquire() a lost lease ends the hold
        await lock.release()

    run(main, any_server)


def test_repr_of_a_held_lock(run: Run, any_server: Server, key: str) -> None:
    async def main(redis: Client) -> None:
        lock = Redisson(redis, key=key)
        async with lock:
            text = repr(lock)
            assert repr(key) in text and "held" in text and "not held" not in text
            assert any(figure in text for figure in ("10.0", "9.9", "9.8", "9.7"))
        assert "not held" in repr(lock)

    run(main, any_server)
