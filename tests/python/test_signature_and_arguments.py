"""What the constructor takes, what it refuses, and what the object shows of itself."""

from __future__ import annotations

import copy
import enum
import inspect
import math
import pickle
import pydoc
import re
import sys
import uuid
import weakref
from typing import Any

import pytest
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st

from aioredlock_c import Redisson

pytestmark = pytest.mark.portable

SIGNATURE = (
    "(redis, key='global', ex=10, sleeptime_l=0.02, sleeptime_h=0.1, retry_count=10, carry=None, *, "
    "retry_times=None, blocking_timeout=None, required=False, on_lost=None, stall_limit=60.0)"
)
NAN = math.nan
INF = math.inf

# A client that never connects: nothing here does any I/O.
CLIENT = redis.asyncio.Redis(port=1)


def make(**arguments: Any) -> Redisson:
    return Redisson(CLIENT, **arguments)


def test_the_signature_is_the_documented_one() -> None:
    assert str(inspect.signature(Redisson)) == SIGNATURE


def test_help_shows_the_signature() -> None:
    text = pydoc.plain(pydoc.render_doc(Redisson))
    # Newer Pythons spread it over lines, one for each argument.
    assert re.sub(r"\s", "", "Redisson" + SIGNATURE) in re.sub(r"\n\s*\||\s", "", text).replace(",)", ")")


@pytest.mark.parametrize(
    "name",
    [
        *("acquire", "release", "extend", "locked", "is_locked", "ensure_held", "remaining", "uuid"),
        *("__aenter__", "__aexit__"),
    ],
)
def test_methods_show_their_signatures(name: str) -> None:
    assert inspect.signature(getattr(Redisson, name)) is not None


def test_acquire_has_the_documented_signature() -> None:
    assert str(inspect.signature(make().acquire)) == "(blocking=True, blocking_timeout=None)"


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    *[({"ex": bad}, TypeError, "ex") for bad in ("10", None, [], True, False, 1j, b"10", object())],
    *[
        ({"ex": bad}, ValueError, "ex")
        for bad in (0, -1, 0.0499, -0.0, NAN, INF, -INF, 1.1e9, 10**10, 10**400)
    ],
    *[({"sleeptime_l": bad}, TypeError, "sleeptime_l") for bad in ("0", None, [0], 1j, b"1")],
    *[({"sleeptime_l": bad}, ValueError, "sleeptime_l") for bad in (-1, -0.001, NAN, INF, -INF)],
    *[({"sleeptime_h": bad}, TypeError, "sleeptime_h") for bad in ("0", None, [0], 1j, b"1")],
    *[({"sleeptime_h": bad}, ValueError, "sleeptime_h") for bad in (-1, -0.001, NAN, INF, -INF)],
    ({"sleeptime_l": 0.2}, ValueError, "sleeptime_l"),
    ({"sleeptime_h": 0.01}, ValueError, "sleeptime_h"),
    ({"sleeptime_l": 0.3, "sleeptime_h": 0.2}, ValueError, "sleeptime_l"),
    *[({"retry_count": bad}, TypeError, "retry_count") for bad in ("10", 1.5, [0], 1j, NAN)],
    *[({"retry_count": bad}, ValueError, "retry_count") for bad in (-1, -(10**9), -(10**30))],
    *[({"retry_times": bad}, TypeError, "retry_times") for bad in ("10", 1.5, [0], 1j, NAN)],
    *[({"retry_times": bad}, ValueError, "retry_times") for bad in (-1, -(10**9), -(10**30))],
    *[({"retry_count": n, "retry_times": 10}, TypeError, "retry_times") for n in (10, 3, 0, None)],
    *[({"key": bad}, TypeError, "key") for bad in (None, [], 1.5, True, False, object(), 1j, b"", b"no1")],
    ({"key": ""}, ValueError, "key"),
    ({"key": "x" * 2049}, ValueError, "key"),
    ({"key": "\u00e9" * 1025}, ValueError, "key"),
    ({"key": "\U0001f512" * 513}, ValueError, "key"),
    ({"key": "a\ud800b"}, ValueError, "key"),
    ({"key": 10**2048}, ValueError, "key"),
    ({"key": 10**5000}, ValueError, "key"),
    *[({"blocking_timeout": bad}, TypeError, "blocking_timeout") for bad in ("1", [0], 1j, b"1")],
    *[({"blocking_timeout": bad}, ValueError, "blocking_timeout") for bad in (-1, -0.001, NAN, -INF)],
    *[({"on_lost": bad}, TypeError, "on_lost") for bad in (1, True, b"cancel", [], object())],
    *[({"on_lost": bad}, ValueError, "on_lost") for bad in ("", "Cancel", "cancel ", "warn")],
    *[({"stall_limit": bad}, TypeError, "stall_limit") for bad in ("1", None, [0], 1j, b"1", True, False)],
    *[({"stall_limit": bad}, ValueError, "stall_limit") for bad in (-1, -0.001, NAN, -INF)],
    ({"ex_": 1}, TypeError, "ex_"),
    ({"on_loss": 1}, TypeError, "on_loss"),
    ({"redis": CLIENT}, TypeError, "redis"),
]


@pytest.mark.parametrize(
    ("arguments", "kind", "name"), BAD, ids=[f"{number}-{name}" for number, (_, _, name) in enumerate(BAD)]
)
def test_a_bad_argument_is_refused_by_name(
    arguments: dict[str, Any], kind: type[Exception], name: str
) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        make(**arguments)
    assert isinstance(caught.value, kind), caught.value
    assert re.search(rf"\b{name}\b", str(caught.value)), caught.value


def test_bytes_keys_are_refused_with_a_hint() -> None:
    with pytest.raises(TypeError, match="decode"):
        make(key=b"no1")


def test_no_arguments_at_all() -> None:
    with pytest.raises(TypeError, match="redis"):
        Redisson()  # type: ignore[call-arg]


def test_too_many_arguments() -> None:
    with pytest.raises(TypeError):
        Redisson(CLIENT, "k", 10, 0.02, 0.1, 10, None, 3)  # type: ignore[call-arg]


def test_retry_times_clashes_with_a_positional_retry_count() -> None:
    with pytest.raises(TypeError, match="retry_times"):
        Redisson(CLIENT, "k", 10, 0.02, 0.1, 10, retry_times=3)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"ex": 0.05},
        {"ex": 1e9},
        {"ex": 10**9},
        {"sleeptime_l": 0, "sleeptime_h": 0},
        {"sleeptime_l": 0.1},
        {"retry_count": 0},
        {"retry_count": 10**9},
        {"retry_count": None},
        {"retry_times": 0},
        {"retry_times": None, "retry_count": 3},
        {"retry_times": 3},
        {"blocking_timeout": 0},
        {"blocking_timeout": 1.5},
        {"blocking_timeout": None},
        {"required": True},
        {"on_lost": None},
        {"on_lost": print},
        *([{"on_lost": "cancel"}] if sys.version_info >= (3, 11) else []),
        {"stall_limit": 0},
        {"stall_limit": 0.0},
        {"stall_limit": 0.5},
        {"stall_limit": 10**400},
        {"stall_limit": INF},
        {"key": "x" * 2048},
        {"key": "\u00e9" * 1024},
    ],
    ids=repr,
)
def test_good_arguments_are_taken(arguments: dict[str, Any]) -> None:
    assert not make(**arguments).is_locked()


def test_positional_arguments_in_the_documented_order() -> None:
    lock = Redisson(CLIENT, "k", 10, 0.02, 0.1, 10, "bag")
    assert (lock.redis, lock.key, lock.carry) == (CLIENT, "k", "bag")


class Colour(str, enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    "given_key",
    ["no1", "a b\r\n", "nul\0inside", "\U0001f512", "{tag}", 7, -3, 0, uuid.UUID(int=7), Colour.RED],
    ids=repr,
)
def test_keys_become_text_as_format_makes_it(given_key: Any) -> None:
    assert make(key=given_key).key == format(given_key)
    assert type(make(key=given_key).key) is str


def test_the_default_key() -> None:
    assert Redisson(CLIENT).key == "global"


@given(ex=st.floats(allow_nan=True, allow_infinity=True))
def test_any_float_as_ex(ex: float) -> None:
    if 0.05 <= ex <= 1e9:
        make(ex=ex)
    else:
        with pytest.raises(ValueError, match=r"\bex\b"):
            make(ex=ex)


@given(low=st.floats(), high=st.floats())
def test_any_floats_as_sleeps(low: float, high: float) -> None:
    if 0 <= low <= high < INF:
        make(sleeptime_l=low, sleeptime_h=high)
    else:
        with pytest.raises(ValueError, match="sleeptime_[lh]"):
            make(sleeptime_l=low, sleeptime_h=high)


@given(count=st.integers(), name=st.sampled_from(["retry_count", "retry_times"]))
def test_any_integer_as_count(count: int, name: str) -> None:
    if 0 <= count < 2**31:
        make(**{name: count})
    elif count < 0:
        with pytest.raises(ValueError, match=name):
            make(**{name: count})


@given(text=st.text(st.characters(exclude_categories=[]), max_size=3000))
def test_any_text_as_key(text: str) -> None:
    size = len(text.encode(errors="surrogatepass"))
    encodable = not any("\ud800" <= character <= "\udfff" for character in text)
    if 1 <= size <= 2048 and encodable:
        assert make(key=text).key == text
    else:
        with pytest.raises(ValueError, match=r"\bkey\b"):
            make(key=text)


RUBBISH = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.integers()),
    st.complex_numbers(),
)
ARGUMENTS = [
    *("key", "ex", "sleeptime_l", "sleeptime_h", "retry_count", "carry", "retry_times"),
    *("blocking_timeout", "required"),
]


@given(arguments=st.dictionaries(st.sampled_from(ARGUMENTS), RUBBISH))
def test_rubbish_is_taken_or_refused_by_name(arguments: dict[str, Any]) -> None:
    try:
        lock = make(**arguments)
    except (TypeError, ValueError, OverflowError) as error:
        assert not isinstance(error, OverflowError)
        assert any(re.search(rf"\b{name}\b", str(error)) for name in ARGUMENTS), error
    else:
        assert not lock.is_locked()


def test_attributes_of_a_fresh_object() -> None:
    bag = object()
    lock = make(key="k", carry=bag)
    assert lock.redis is CLIENT
    assert lock.carry is bag
    assert lock.is_locked() is False
    assert lock.remaining() == 0.0
    assert uuid.UUID(lock.uuid()).version == 4
    assert lock.uuid() == lock.uuid() == str(uuid.UUID(lock.uuid()))
    assert lock.uuid() != make(key="k").uuid()


def test_carry_is_writable_and_the_rest_is_not() -> None:
    lock = make(key="k", carry=1)
    lock.carry = 2
    assert lock.carry == 2
    for name in ("key", "redis"):
        with pytest.raises(AttributeError):
            setattr(lock, name, "other")
    assert (lock.key, lock.redis) == ("k", CLIENT)


def test_repr_of_a_fresh_object() -> None:
    text = repr(make(key="it's"))
    assert "Redisson" in text and repr("it's") in text and "not held" in text


def test_a_subclass_has_its_own_init_and_attributes() -> None:
    class Mine(Redisson):
        def __init__(self, client: redis.asyncio.Redis, number: int) -> None:
            super().__init__(client, key=f"mine-{number}", carry=number)
            self.extra = number

    lock = Mine(CLIENT, 3)
    assert (lock.key, lock.carry, lock.extra) == ("mine-3", 3, 3)
    assert isinstance(lock, Redisson) and "Mine" in repr(lock)


def test_weak_references() -> None:
    lock = make()
    reference = weakref.ref(lock)
    assert reference() is lock
    del lock
    assert reference() is None


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_copies_are_refused_with_a_reason(way: Any) -> None:
    with pytest.raises(TypeError, match="Redisson.*"):
        way(make(key="k"))


def test_an_object_whose_init_failed_or_never_ran_is_harmless() -> None:
    bare = Redisson.__new__(Redisson)
    for look in (bare.is_locked, bare.remaining, bare.uuid, bare.acquire, bare.release, bare.__repr__):
        try:
            result = look()
        except (RuntimeError, AttributeError, TypeError, ValueError):
            continue
        if hasattr(result, "close"):
            result.close()
        else:
            assert result in (False, 0.0) or isinstance(result, str)


def test_init_again_while_not_held_takes_the_new_arguments_or_refuses() -> None:
    lock = make(key="first")
    try:
        lock.__init__(CLIENT, key="second")  # type: ignore[misc]
    except (RuntimeError, TypeError):
        assert lock.key == "first"
    else:
        assert lock.key == "second"
