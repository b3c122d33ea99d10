"""Hundreds of bad replies over the wire: each a clear error of the client's library, and then all is well."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

import pytest
import redis.exceptions
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from support.drawn import drawn
from support.scripted_server import CLOSE, GOOD, RESET, Asked, ScriptedServer
from test_bad_inputs import LEAST
from test_server_errors import check_text, client_to

from aioredlock_c import LockNotOwnedError, Redisson

TOGETHER = 40  # so many clients at a time
FAILURES = (redis.exceptions.RedisError,)


class Bad(NamedTuple):
    """An answer to one verb that no server gives; each strategy is of one sort."""

    verb: str
    answer: object


def line(text: st.SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    return text.map(lambda inner: inner.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n")


WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12).map(str.encode)
NUMBER = st.integers(-(10**22), 10**22).map(lambda number: str(number).encode())
# What begins as no reply does; nothing of it ends a line too soon to be seen.
GARBAGE = st.binary(min_size=1, max_size=60).filter(lambda data: data[:1] not in b"+-:$*_#,(=%~>|!.")
STATUS = line(WORD.filter(lambda word: word != b"OK").map(lambda word: b"+" + word))
NOT_A_NUMBER = line(st.builds(b"".join, st.tuples(st.sampled_from([b":", b"$", b"*"]), WORD))).filter(
    lambda data: not data[1:-2].lstrip(b"+-").isdigit() and data[1:2] not in (b"?",)
)
OTHER_INTEGER = st.one_of(st.integers(2, 2**63 - 1), st.integers(-(2**63), -3)).map(lambda n: b":%d\r\n" % n)
BULK = st.binary(max_size=40).map(lambda data: b"$%d\r\n%s\r\n" % (len(data), data))
TOO_LARGE = st.one_of(
    st.integers(4097, 2**40).map(lambda size: b"$%d\r\n" % size + b"x" * min(size, 9000)),
    st.integers(65, 2**31 - 1).map(lambda size: b"*%d\r\n" % size + b":1\r\n" * min(size, 3000)),
    st.integers(5, 500).map(lambda depth: b"*1\r\n" * depth + b":1\r\n"),
    st.integers(1025, 70_000).map(lambda size: b"+" + b"x" * size),
    st.integers(1025, 70_000).map(lambda size: b"-ERR " + b"x" * size + b"\r\n"),
)
ARRAY = st.lists(BULK | NUMBER.map(lambda n: b":" + n[:18] + b"\r\n"), max_size=5).map(
    lambda items: b"*%d\r\n" % len(items) + b"".join(items)
)
BULK_WITHOUT_END = st.binary(min_size=1, max_size=20).map(
    lambda data: b"$%d\r\n%s" % (len(data), data) + b"xy:1\r\n"
)
HALF = st.tuples(
    st.sampled_from(
        [b"+OK\r", b"+O", b"+", b":", b":1", b":1\r", b"$", b"$-1\r", b"$5\r\nab", b"*1\r\n", b"-ERR a"]
    ),
    st.sampled_from([CLOSE, RESET]),
).map(list)
NEVER = st.one_of(GARBAGE, STATUS, NOT_A_NUMBER, BULK, TOO_LARGE, ARRAY, BULK_WITHOUT_END, HALF)

SORTS: dict[str, tuple[SearchStrategy[Any], int]] = {
    "TRY": (NEVER | OTHER_INTEGER | st.sampled_from([b":0\r\n", b":1\r\n"]), 260),
    "RENEW": (NEVER | OTHER_INTEGER | st.sampled_from([b"+OK\r\n", b"$-1\r\n"]), 120),
    "RELEASE": (NEVER | OTHER_INTEGER | st.sampled_from([b"+OK\r\n", b"$-1\r\n"]), 120),
    "PEEK": (NEVER | st.sampled_from([b"+OK\r\n", b"$-1\r\n", b":-3\r\n"]), 120),
}
# Texts of errors: any bytes are one.
ERROR = line(st.binary(max_size=60).map(lambda text: b"-" + text)).filter(
    lambda text: not text.startswith((b"-NOSCRIPT", b"-WRONGTYPE"))
)


async def works(client: Any, key: str) -> None:
    """A lock can be had: soon, for a server that broke connection after connection is dialled with pauses."""
    end = time.monotonic() + 2
    while True:
        try:
            async with Redisson(client, key=key) as lock:
                assert lock is not None
                return
        except FAILURES:
            assert time.monotonic() < end


def key_of(asked: Asked) -> str:
    """The key of a lock that a command is about."""
    return asked.words[1 if asked.verb in ("TRY", "PEEK") else 3].decode().removeprefix("redisson:")


async def meet(server: ScriptedServer, bad: dict[str, Bad], key: str) -> None:
    """A client meets its bad reply, as often as it asks; then, from the healthy server, it gets its lock."""
    client = client_to(server, socket_timeout=0.6)
    lock = Redisson(client, key=key, ex=30)
    verb, answer = bad[key]
    if verb in ("RENEW", "RELEASE"):
        assert await lock.acquire()
    calls: dict[str, Any] = {"TRY": lock.acquire, "RELEASE": lock.release, "PEEK": lock.locked}
    try:
        result = await (calls[verb]() if verb in calls else lock.extend(40))
    except FAILURES as error:
        assert not isinstance(error, LockNotOwnedError)
        check_text(error, key)
    else:
        pytest.fail(f"{verb} answered {answer!r:.100} gave {result!r}")
    assert lock.is_locked() is (verb == "RENEW")
    del bad[key]
    await works(client, key + "-2")
    if lock.is_locked():
        await lock.release()
    await client.aclose()


async def meet_all(found: list[Bad], key: str) -> None:
    bad = {f"{key}-{number}": one for number, one in enumerate(found)}

    def script(asked: Asked) -> object:
        verb, answer = bad.get(key_of(asked), ("", None))
        if verb == "TRY" and asked.verb == "RENEW":
            return b":0\r\n"  # what is in doubt was not granted
        return answer if asked.verb == verb else GOOD[asked.verb]

    keys = list(bad)
    with ScriptedServer(script) as server:
        for first in range(0, len(keys), TOGETHER):
            await asyncio.gather(*(meet(server, bad, name) for name in keys[first : first + TOGETHER]))


@pytest.mark.exact
@pytest.mark.parametrize("verb", list(SORTS))
def test_bad_replies(key: str, verb: str) -> None:
    strategy, many = SORTS[verb]
    asyncio.run(meet_all([Bad(verb, answer) for answer in drawn(strategy, many)], key))


def test_any_text_of_an_error(key: str) -> None:
    asyncio.run(meet_all([Bad("TRY", answer) for answer in drawn(ERROR, 100)], key))


def test_enough_replies_are_tried() -> None:
    assert sum(many for _, many in SORTS.values()) + 100 >= LEAST["replies"]
