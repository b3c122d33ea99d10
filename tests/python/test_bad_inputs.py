"""Thousands of bad inputs, each refused with a clear error: arguments here, replies in test_bad_replies.py.

Each is refused by the exception that fits it (TypeError for what is no number, no text, no client; ValueError
for one out of range), whose message names the argument, and leaves the object as it was.
"""

from __future__ import annotations

import asyncio
import decimal
import fractions
import functools
import math
import re
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import redis.asyncio
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from support.drawn import drawn
from support.scripted_server import GOOD, ScriptedServer

import aioredlock_c

pytestmark = pytest.mark.portable

# What is refused here, the type checker would refuse as well.
Redisson: Any = aioredlock_c.Redisson
aclose: Any = aioredlock_c.aclose
# A client that never connects: what is refused does no I/O.
CLIENT = redis.asyncio.Redis(port=1)
INF = math.inf

# How many different bad inputs each test tries at least; test_enough_is_tried adds them up.
LEAST = {
    "constructor": 1400,
    "extend": 100,
    "ensure_held": 100,
    "acquire": 100,
    "others": 100,
    "replies": 700,
}


class Kind(NamedTuple):
    """Bad values of one sort, and how they are to be refused."""

    error: type[Exception]
    values: SearchStrategy[Any]
    many: int


class Same:
    """An object of a class that nobody takes for anything."""

    def __repr__(self) -> str:
        return "Same()"


ODD = st.one_of(
    st.binary(max_size=8),
    st.lists(st.integers(), max_size=3),
    st.tuples(st.integers()),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.complex_numbers(),
    st.sets(st.integers(), max_size=2),
    st.just(Same()),
    st.just(object),
    st.just(...),
)
NO_NUMBER = st.one_of(ODD, st.text(max_size=8), st.floats().map(str), st.integers().map(str), st.booleans())
BELOW_ZERO = st.one_of(
    st.floats(max_value=-sys.float_info.min),
    st.integers(max_value=-1),
    st.just(-(10**400)),
    st.fractions(max_value=-1).filter(bool),
    st.decimals(max_value=-1, allow_nan=False),
)
NOT_FINITE = st.sampled_from([math.nan, INF, -INF, decimal.Decimal("NaN"), decimal.Decimal("Infinity")])
TOO_SHORT = st.one_of(
    st.floats(max_value=0.0499), st.fractions(min_value=0, max_value=fractions.Fraction(1, 21))
)
TOO_LONG = st.one_of(st.floats(min_value=1.0000001e9), st.integers(min_value=10**9 + 1), st.just(10**400))
TTL = st.one_of(BELOW_ZERO, NOT_FINITE, TOO_SHORT, TOO_LONG, st.just(0))
NO_COUNT = st.one_of(ODD, st.text(max_size=8), st.floats(), st.booleans(), st.fractions())
LONE = st.characters(categories=["Cs"])
LONG = st.builds(
    lambda start, letter: start + letter * (2049 // len(letter.encode())),
    st.text(max_size=20, alphabet=st.characters(exclude_categories=["Cs"])),
    st.sampled_from(["x", "\u00e9", "\u20ac", "\U0001f512", "\0"]),
).filter(lambda text: len(text.encode()) > 2048)
NO_TEXT = st.one_of(ODD, st.none(), st.floats(), st.booleans(), st.decimals())
NO_CLIENT = st.one_of(ODD, st.none(), st.integers(), st.text(max_size=20), st.floats(), st.booleans())

CONSTRUCTOR: dict[str, list[Kind]] = {
    "redis": [Kind(TypeError, NO_CLIENT, 60)],
    "key": [
        Kind(TypeError, NO_TEXT, 100),
        Kind(ValueError, LONG, 60),
        Kind(ValueError, st.builds("{}{}{}".format, st.text(max_size=3), LONE, st.text(max_size=3)), 60),
        Kind(ValueError, st.integers(2048, 2100).map(lambda digits: 10**digits), 30),
    ],
    "ex": [Kind(TypeError, st.one_of(NO_NUMBER, st.none()), 120), Kind(ValueError, TTL, 150)],
    "sleeptime_l": [Kind(TypeError, NO_NUMBER, 80), Kind(ValueError, BELOW_ZERO | NOT_FINITE, 80)],
    "sleeptime_h": [Kind(TypeError, NO_NUMBER, 80), Kind(ValueError, BELOW_ZERO | NOT_FINITE, 80)],
    "retry_count": [Kind(TypeError, NO_COUNT, 80), Kind(ValueError, st.integers(max_value=-1), 40)],
    "retry_times": [Kind(TypeError, NO_COUNT, 80), Kind(ValueError, st.integers(max_value=-1), 40)],
    "blocking_timeout": [
        Kind(TypeError, NO_NUMBER, 80),
        Kind(ValueError, BELOW_ZERO | st.just(math.nan), 40),
    ],
    "on_lost": [
        Kind(
            TypeError,
            NO_CLIENT.filter(
                lambda value: value is not None and not callable(value) and not isinstance(value, str)
            ),
            80,
        ),
        Kind(ValueError, st.text(max_size=8), 40),
    ],
    "stall_limit": [
        Kind(TypeError, NO_NUMBER | st.none(), 80),
        Kind(ValueError, BELOW_ZERO | st.just(math.nan), 40),
    ],
}


def refused(call: Callable[..., Any], error: type[Exception], name: str, value: object) -> None:
    """The call is refused by an exception of this type exactly, which names the argument."""
    try:
        result = call()
    except Exception as caught:
        assert type(caught) is error, f"{name}={value!r}: {caught!r}"
        assert re.search(rf"\b{name}\b", str(caught)), f"{name}={value!r}: {caught!r}"
        assert len(str(caught)) < 500, f"{name}={value!r}"
        return
    if hasattr(result, "close"):
        result.close()
    pytest.fail(f"{name}={value!r:.200} was taken")


def table(kinds: dict[str, list[Kind]]) -> list[tuple[str, type[Exception], Any]]:
    return [
        (name, kind.error, value)
        for name, several in kinds.items()
        for kind in several
        for value in drawn(kind.values, kind.many)
    ]


@functools.cache
def constructor_table() -> list[tuple[str, type[Exception], Any]]:
    return table(CONSTRUCTOR)


def test_bad_arguments_of_the_constructor() -> None:
    tried = constructor_table()
    for name, error, value in tried:
        rest = {} if name == "redis" else {"redis": CLIENT}
        refused(lambda: Redisson(**rest, **{name: value}), error, name, value)  # noqa: B023
    assert len(tried) >= LEAST["constructor"]


class Shy(float):
    """It cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("nothing to see")


@pytest.mark.parametrize("name", ["ex", "sleeptime_l", "sleeptime_h", "blocking_timeout", "stall_limit"])
def test_what_cannot_be_shown_is_refused_by_name_all_the_same(name: str) -> None:
    for value in (-(10**5000), Shy(-1.0)):  # more digits than Python prints
        refused(lambda: Redisson(CLIENT, **{name: value}), ValueError, name, name)  # noqa: B023


def test_the_message_stays_short() -> None:
    class Wordy(float):
        def __repr__(self) -> str:
            return "-" * 10**6

    with pytest.raises(ValueError, match=r"\bex\b") as caught:
        Redisson(CLIENT, ex=Wordy(-1))
    assert len(str(caught.value)) < 300


def test_swapped_sleeps() -> None:
    pairs = st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)).filter(lambda pair: pair[0] > pair[1])
    for low, high in drawn(pairs, 100):
        refused(
            lambda: Redisson(CLIENT, sleeptime_l=low, sleeptime_h=high),  # noqa: B023
            ValueError,
            "sleeptime_l",
            (low, high),
        )


def test_a_refused_init_leaves_the_object_as_it_was() -> None:
    """Also where the bad argument comes last, after good ones."""
    lock = Redisson(CLIENT, key="kept", ex=7, carry="bag")
    before = (lock.redis, lock.key, lock.carry, lock.uuid(), repr(lock))
    for name, error, value in constructor_table():
        good = {"redis": redis.asyncio.Redis(port=2), "key": "other", "carry": "other", "ex": 5}
        refused(lambda: lock.__init__(**{**good, name: value}), error, name, value)  # noqa: B023
        assert (lock.redis, lock.key, lock.carry, lock.uuid(), repr(lock)) == before


def test_names_that_no_argument_has() -> None:
    names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True).filter(lambda name: name not in CONSTRUCTOR)
    for name in drawn(names, 60):
        if name not in ("carry", "required"):
            refused(lambda: Redisson(CLIENT, **{name: 1}), TypeError, name, 1)  # noqa: B023


# ---- methods, on a lock that is held: nothing is sent, and it stays held ----


def on_a_held_lock(key: str, tries: Callable[[Any], int], least: int) -> None:
    async def main() -> None:
        with ScriptedServer(lambda asked: GOOD[asked.verb]) as server:
            client = redis.asyncio.Redis(host=server.host, port=server.port)
            lock = Redisson(client, key=key, ex=1000)
            assert await lock.acquire()
            token, asked = lock.uuid(), len(server.asked)
            assert tries(lock) >= least
            assert lock.is_locked() and lock.uuid() == token and 900 < lock.remaining() < 1000
            await asyncio.sleep(0)
            assert len(server.asked) == asked
            await lock.extend(2000)  # all is well
            await lock.release()
            await client.aclose()

    asyncio.run(main())


def test_bad_arguments_of_extend(key: str) -> None:
    def tries(lock: Any) -> int:
        kinds = {"seconds": [Kind(TypeError, NO_NUMBER | st.none(), 80), Kind(ValueError, TTL, 80)]}
        for name, error, value in table(kinds):
            refused(lambda: lock.extend(value), error, name, value)  # noqa: B023
            refused(lambda: lock.extend(seconds=value), error, name, value)  # noqa: B023
        refused(lambda: lock.extend(), TypeError, "seconds", "missing")
        refused(lambda: lock.extend(5, 5), TypeError, "extend", "two")
        refused(lambda: lock.extend(5, seconds=5), TypeError, "seconds", "twice")
        refused(lambda: lock.extend(second=5), TypeError, "second", "misspelt")
        return 160 + 4

    on_a_held_lock(key, tries, LEAST["extend"])


def test_bad_arguments_of_ensure_held(key: str) -> None:
    def tries(lock: Any) -> int:
        kinds = {"seconds": [Kind(TypeError, NO_NUMBER, 60), Kind(ValueError, TTL, 60)]}
        for name, error, value in table(kinds):
            refused(lambda: lock.ensure_held(value), error, name, value)  # noqa: B023
        refused(lambda: lock.ensure_held(1, 1), TypeError, "ensure_held", "two")
        refused(lambda: lock.ensure_held(second=1), TypeError, "second", "misspelt")
        lock.ensure_held(900)
        return 120 + 2

    on_a_held_lock(key, tries, LEAST["ensure_held"])


class Truthless:
    """Its truth cannot be told."""

    def __bool__(self) -> bool:
        raise ValueError("blocking or not, who knows")


def test_bad_arguments_of_acquire(key: str) -> None:
    def tries(lock: Any) -> int:
        kinds = {
            "blocking_timeout": [
                Kind(TypeError, NO_NUMBER, 80),
                Kind(ValueError, BELOW_ZERO | st.just(math.nan), 40),
            ]
        }
        for name, error, value in table(kinds):
            refused(lambda: lock.acquire(True, value), error, name, value)  # noqa: B023
            refused(lambda: lock.acquire(blocking_timeout=value), error, name, value)  # noqa: B023
        for value in drawn(st.floats(0, 1e9), 20):
            refused(lambda: lock.acquire(False, value), ValueError, "blocking", value)  # noqa: B023
        refused(lambda: lock.acquire(Truthless()), ValueError, "blocking", "truthless")
        refused(lambda: lock.acquire(True, 1, 1), TypeError, "acquire", "three")
        refused(lambda: lock.acquire(block=True), TypeError, "block", "misspelt")
        return 140 + 3

    on_a_held_lock(key, tries, LEAST["acquire"])


def test_bad_arguments_of_the_other_methods(key: str) -> None:
    """These take nothing, and say so."""

    def tries(lock: Any) -> int:
        count = 0
        for name in ("release", "locked", "is_locked", "remaining", "uuid", "__aenter__"):
            for value in drawn(ODD | st.integers() | st.none(), 20):
                refused(lambda: getattr(lock, name)(value), TypeError, name, value)  # noqa: B023
                count += 1
        for number in (0, 1, 2, 4, 5):
            refused(lambda: lock.__aexit__(*[None] * number), TypeError, "__aexit__", number)  # noqa: B023
            count += 1
        return count

    on_a_held_lock(key, tries, LEAST["others"])


def test_bad_arguments_of_aclose() -> None:
    async def main() -> None:
        for value in drawn(NO_CLIENT, 60):
            with pytest.raises(TypeError, match="redis"):
                await aclose(value)

    asyncio.run(main())


def test_enough_is_tried() -> None:
    assert sum(LEAST.values()) >= 2000
