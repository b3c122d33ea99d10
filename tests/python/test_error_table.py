"""The documented table of error replies, played on the wire: each reply to each verb does what it says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions
from support.scripted_server import GOOD, RESET, Asked, ScriptedServer
from support.waiting import aeventually
from test_server_errors import check_text, client_to

from aioredlock_c import LockLostError, LockNotOwnedError, Redisson

ROOT = Path(__file__).parents[2]
EX = 0.6  # seconds; the shortest in which a renewal and its repetition are apart from the noise
AGAIN = 0.06  # seconds: TTL / 10

# How real servers word what the table names.
TEXTS = {
    "NOSCRIPT": "NOSCRIPT No matching script. Please use EVAL.",
    "WRONGTYPE": "WRONGTYPE Operation against a key holding the wrong kind of value",
    "OOM": "OOM command not allowed when used memory > 'maxmemory'.",
    "NOPERM": "NOPERM this user has no permissions to run the 'set' command",
    "MOVED": "MOVED 3999 127.0.0.1:6381",
    "ASK": "ASK 3999 127.0.0.1:6381",
    "CROSSSLOT": "CROSSSLOT Keys in request don't hash to the same slot",
    "MISCONF": "MISCONF Errors writing to the AOF file: No space left on device",
    "NOREPLICAS": "NOREPLICAS Not enough good replicas to write.",
    "EXECABORT": "EXECABORT Transaction discarded because of previous errors.",
    "an unknown command": "ERR unknown command 'SET', with args beginning with: 'redisson:no1' ",
    "a wrong number of arguments": "ERR wrong number of arguments for 'evalsha' command",
    "a syntax error": "ERR syntax error",
    "an invalid expire time": "ERR invalid expire time in 'set' command",
    "a refusal by ACL inside a script": "ERR The user executing the script can't run this command or "
    "subcommand script: 3c9c9e0fad36a4c131785264072fb16c2f7347b2, on @user_script:2.",
    "LOADING": "LOADING Redis is loading the dataset in memory",
    "BUSY": "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "TRYAGAIN": "TRYAGAIN Multiple keys request during rehashing of slot",
    "CLUSTERDOWN": "CLUSTERDOWN The cluster is down",
    "a script killed by a user": "ERR Script killed by user with SCRIPT KILL.",
    "READONLY": "READONLY You can't write against a read only replica.",
    "MASTERDOWN": "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "NOAUTH": "NOAUTH Authentication required.",
    "WRONGPASS": "WRONGPASS invalid username-password pair or user is disabled.",
    "DENIED": "DENIED Redis is running in protected mode because protected mode is enabled",
    '"max number of clients"': "ERR max number of clients reached",
    "anything else": "ERR a thing that nobody has heard of",
}
# Other wordings of the same.
MORE = {
    "a refusal by ACL inside a script": [
        "ERR ACL failure in script: User u has no permissions to run the 'pexpire' command",
        "ERR Error running script (call to f_00): @user_script:2: @user_script: 2: "
        "The user executing the script can't run this command or subcommand",
    ],
    "READONLY": [
        "ERR Error running script (call to f_00): @user_script:2: @user_script: 2: "
        "-READONLY You can't write against a read only replica."
    ],
    "anything else": ["", "BUSYKEY Target key name already exists.", "readonly in lower case"],
}


# ---- the documented tables ----


def tables() -> list[list[list[str]]]:
    """The list-tables of the page's section on errors: rows of cells, each on one line."""
    text = (ROOT / "docs/wire-protocol.rst").read_text().split(".. _errors:")[1]
    found = []
    for block in text.split(".. list-table::")[1:]:
        block = re.split(r"\n(?=\S)", block)[0]
        rows = re.split(r"^   \* -", block, flags=re.MULTILINE)[1:]
        cells = [re.split(r"^     -", row, flags=re.MULTILINE) for row in rows]
        found.append([[" ".join(cell.split()) for cell in row] for row in cells])
    return found


OUTCOMES = {row[0]: [name.strip() for name in re.split("[,;]", row[1])] for row in tables()[0][1:]}
VERBS = tables()[1][0][1:]
CELLS = {(row[0], verb): cell for row in tables()[1][1:] for verb, cell in zip(VERBS, row[1:], strict=True)}


def documented(outcome: str, verb: str) -> str:
    """What the table says; "as *unknown*: why" refers to another row."""
    cell = CELLS[outcome, verb]
    return CELLS["unknown", verb] if cell.startswith("as *unknown*") else cell


# ---- one reply to one verb ----


@dataclass
class Wire:
    """A server that answers one command with an error, a lock, and what was seen of both."""

    text: str
    verb: str  # the verb that gets the error
    cut_first: bool = False  # the first TRY is executed and its reply lost
    erred: list[Asked] = field(default_factory=list)
    error: BaseException | None = None

    def script(self, asked: Asked) -> object:
        if self.cut_first and not self.server.of("TRY")[1:]:
            if asked.verb == "TRY":
                return RESET
        if asked.verb == self.verb and not self.erred:
            self.erred.append(asked)
            return f"-{self.text}\r\n".encode()
        return GOOD[asked.verb]

    async def play(self, key: str, steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs `steps`, then looks whether the connection is still of use."""
        with ScriptedServer(self.script) as self.server:
            client = client_to(self.server)
            self.lock = Redisson(client, key=key, ex=EX)
            await steps()
            other = Redisson(client, key=f"{key}-other")
            assert await other.acquire()
            self.next = [asked.connection for asked in self.server.of("TRY")][-1]
            await other.release()
            if self.lock.is_locked():
                await self.lock.release()
            await client.aclose()

    async def catch(self, awaited: Any) -> None:
        """Awaits what must raise the server's text with the key, or LockNotOwnedError."""
        try:
            await awaited
        except Exception as error:
            self.error = error
            check_text(error, self.lock.key)

    def after(self, verb: str) -> list[Asked]:
        """Commands of this verb about the lock's key since the error."""
        return [
            asked
            for asked in self.server.of(verb)
            if self.erred and asked.at > self.erred[0].at
            if not any(word.endswith(b"-other") for word in asked.words)
        ]

    def first_after(self, verb: str) -> tuple[float, bool, bool]:
        """Of the first such command: seconds since the error, whether EVAL, whether on another connection."""
        again = self.after(verb)[0]
        then = self.erred[0]
        return again.at - then.at, again.words[0].upper() == b"EVAL", again.connection != then.connection

    def check_raised(self) -> None:
        assert isinstance(self.error, redis.exceptions.RedisError), self.error
        assert not isinstance(self.error, LockNotOwnedError)

    def check_reconnected(self, yes: bool) -> None:
        assert (self.next != self.erred[0].connection) is yes


# ---- what each cell means on the wire, verb by verb ----


async def check_try(wire: Wire, key: str, cell: str) -> None:
    released, reconnected = {
        "raise": (False, False),
        "raise; reconnect": (False, True),
        "RELEASE, and raise": (True, False),
    }[cell]

    async def steps() -> None:
        await wire.catch(wire.lock.acquire())
        assert not wire.lock.is_locked()

    await wire.play(key, steps)
    wire.check_raised()
    wire.check_reconnected(reconnected)
    assert [asked.words[-1] for asked in wire.after("RELEASE")] == [wire.erred[0].words[2]] * released


async def check_renew(wire: Wire, key: str, cell: str) -> None:
    async def steps() -> None:
        assert await wire.lock.acquire()
        await aeventually(lambda: wire.erred)
        if cell == "LOST":
            await aeventually(lambda: not wire.lock.is_locked(), 0.1)
            assert not wire.after("RENEW")
            return
        await aeventually(lambda: wire.after("RENEW"))
        assert wire.lock.is_locked()
        took, whole, elsewhere = wire.first_after("RENEW")
        expected = {
            "again, with the script": (True, False),
            "again after TTL / 10, until the lease ends": (False, False),
            "reconnect, then RENEW": (False, True),
        }[cell]
        assert (whole, elsewhere) == expected
        assert (took >= AGAIN - 0.005) is ("TTL / 10" in cell), took

    await wire.play(key, steps)
    assert wire.error is None


async def check_doubt(wire: Wire, key: str, cell: str) -> None:
    async def steps() -> None:
        if "raise" in cell:
            await wire.catch(wire.lock.acquire())
        else:
            assert await wire.lock.acquire()

    wire.cut_first = True
    await wire.play(key, steps)
    first = wire.server.of("TRY")[0].words[2]
    token = wire.lock.uuid().encode()
    if cell == "again, with the script":
        assert wire.first_after("RENEW")[1:] == (True, False) and token == first
        return
    assert wire.after("RELEASE")[0].words[4] == first
    if cell == "RELEASE, then TRY with a fresh token":
        assert wire.after("TRY")[0].words[2] == token != first
        assert wire.after("RELEASE")[0].at <= wire.after("TRY")[0].at
        return
    wire.check_raised()
    elsewhere = {"RELEASE, and raise": False, "reconnect, RELEASE, and raise": True}[cell]
    assert wire.first_after("RELEASE")[2] is elsewhere
    assert not wire.after("TRY")


async def check_release(wire: Wire, key: str, cell: str) -> None:
    async def steps() -> None:
        assert await wire.lock.acquire()
        await wire.catch(wire.lock.release())
        assert not wire.lock.is_locked()
        await asyncio.sleep(0.15)

    await wire.play(key, steps)
    if cell == "again, with the script":
        assert wire.error is None and wire.first_after("RELEASE")[1:] == (True, False)
    elif cell == "LOST: `LockLostError`":
        assert isinstance(wire.error, LockLostError) and not wire.after("RELEASE")
    else:
        wire.check_raised()
        if cell == "raise; not sent again":
            assert not wire.after("RELEASE")
            return
        took, _, elsewhere = wire.first_after("RELEASE")
        assert (
            elsewhere
            is {"raise; sent again after 100 ms": False, "raise; reconnect, then RELEASE": True}[cell]
        )
        assert elsewhere or took >= 0.095


async def check_extend(wire: Wire, key: str, cell: str) -> None:
    async def steps() -> None:
        assert await wire.lock.acquire()
        await wire.catch(wire.lock.extend(40))
        assert wire.lock.is_locked() is ("LOST" not in cell)

    await wire.play(key, steps)
    if cell == "again, with the script":
        assert wire.error is None and wire.first_after("RENEW")[1:] == (True, False)
        assert wire.after("RENEW")[0].words[-1] == b"40000"
    elif cell == "LOST, and `LockLostError`":
        assert isinstance(wire.error, LockLostError)
    else:
        reconnected = {"raise; the lease goes on": False, "raise; reconnect; the lease goes on": True}[cell]
        wire.check_raised()
        wire.check_reconnected(reconnected)


async def check_locked(wire: Wire, key: str, cell: str) -> None:
    async def steps() -> None:
        await wire.catch(wire.lock.locked())

    await wire.play(key, steps)
    wire.check_raised()
    wire.check_reconnected({"raise": False, "raise; reconnect": True}[cell])
    assert len(wire.server.of("PEEK")) == 1


CHECKS: dict[str, tuple[str, Callable[[Wire, str, str], Coroutine[Any, Any, None]]]] = {
    "TRY": ("TRY", check_try),
    "RENEW of a lease": ("RENEW", check_renew),
    "RENEW that settles a doubt": ("RENEW", check_doubt),
    "RELEASE": ("RELEASE", check_release),
    "`extend()`": ("RENEW", check_extend),
    "`locked()`": ("PEEK", check_locked),
}
CASES = [
    pytest.param(outcome, text, verb, id=f"{verb.strip('`()')}-{name}-{number}")
    for verb in CHECKS
    for outcome, names in OUTCOMES.items()
    for name in names
    for number, text in enumerate([TEXTS[name], *MORE.get(name, [])])
]


@pytest.mark.parametrize(("outcome", "text", "verb"), CASES)
def test_an_error_reply_does_what_the_table_says(key: str, outcome: str, text: str, verb: str) -> None:
    name, check = CHECKS[verb]
    asyncio.run(check(Wire(text, name), key, documented(outcome, verb)))


# ---- the table and the code ----


def test_every_verb_of_the_table_is_played() -> None:
    assert list(CHECKS) == VERBS
    assert len(OUTCOMES) == 6 and len(CASES) >= 6 * len(TEXTS)


def test_every_reply_of_the_table_is_played() -> None:
    named = [name for names in OUTCOMES.values() for name in names]
    assert sorted(named) == sorted(TEXTS)


def test_the_table_names_what_the_code_knows() -> None:
    """src/resp/outcome.c is the table in code: each word of it stands in the documents, in its row."""
    code = (ROOT / "src/resp/outcome.c").read_text()
    rows = re.findall(r'^    \{"([A-Z]+)", ARL_([A-Z_]+)\},', code, flags=re.MULTILINE)
    known = {word: kind.lower().replace("_", " ") for word, kind in rows}
    written = {name: outcome for outcome, names in OUTCOMES.items() for name in names if name.isupper()}
    assert written == known


@pytest.mark.parametrize("text", [TEXTS["WRONGTYPE"], None], ids=["WRONGTYPE", "no"])
def test_a_release_in_doubt_counts_as_done(key: str, text: str | None) -> None:
    """The first may have deleted the key, and another holder may have come since."""
    answers = iter([RESET, b":0\r\n" if text is None else f"-{text}\r\n".encode()])

    async def main() -> None:
        script = lambda asked: next(answers) if asked.verb == "RELEASE" else GOOD[asked.verb]  # noqa: E731
        with ScriptedServer(script) as server:
            client = client_to(server)
            lock = Redisson(client, key=key)
            assert await lock.acquire()
            await lock.release()
            assert [asked.connection for asked in server.of("RELEASE")] == [1, 2]
            await client.aclose()

    asyncio.run(main())
