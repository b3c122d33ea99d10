"""The simulator's model of the server answers ten thousand random steps as each real server does."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from support.servers import Server, _plain_environment

from aioredlock_c import _core

ROOT = Path(__file__).resolve().parents[2]
STEPS = 10_000
BURST = 50  # steps that are run without time passing between them
KEYS = [f"redisson:model-{i}" for i in range(3)]
TOKENS = [str(uuid.UUID(int=i + 1, version=4)) for i in range(8)]
LONGEST = 4_000  # us: a burst that takes the server longer is not judged, since the model's take no time
NEAR = 2 * LONGEST + 1_000  # us: so near to a key's end the two may disagree about it
# A foreign process's renewal, which shortens too.
EXPIRE = """if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])"""


@dataclass(frozen=True)
class Step:
    """One command: what the model is asked, and what the server is."""

    verb: str
    key: int
    token: int = 0
    ttl: int = 0  # ms
    whole: bool = False

    def line(self) -> str:
        if self.verb in ("forget", "wipe"):
            return self.verb
        if self.verb == "pttl":
            return f"pttl {self.key}"
        if self.verb == "type":
            return f"type {self.key} {self.ttl}"
        return f"{self.verb} {self.key} {self.token} {self.ttl} {int(self.whole)}"

    def queue(self, pipe: Any) -> int:
        """Queues the commands; returns how many answers they give, of which the last counts."""
        key, token = KEYS[self.key], TOKENS[self.token]
        match self.verb:
            case "try":
                pipe.execute_command("SET", key, token, "NX", "PX", self.ttl)
            case "renew" | "release":
                text, digest = _core._scripts()[self.verb.upper()]
                command, script = ("EVAL", text) if self.whole else ("EVALSHA", digest)
                arguments = [token, self.ttl] if self.verb == "renew" else [token]
                pipe.execute_command(command, script, 1, key, *arguments)
            case "expire":
                pipe.execute_command("EVAL", EXPIRE, 1, key, token, self.ttl)
            case "peek" | "pttl":
                pipe.execute_command("PTTL", key)
            case "type":
                pipe.execute_command("DEL", key)
                pipe.execute_command("RPUSH", key, "x")
                pipe.execute_command("PEXPIRE", key, self.ttl)
                return 3
            case "wipe":
                pipe.execute_command("DEL", *KEYS)
            case "forget":
                pipe.execute_command("SCRIPT FLUSH")
        return 1

    def outcome(self, reply: Any) -> str:
        """The word that the model has for this reply."""
        if isinstance(reply, redis.exceptions.NoScriptError):
            return "noscript"
        if isinstance(reply, redis.exceptions.ResponseError) and "WRONGTYPE" in str(reply):
            return "wrongtype"
        if isinstance(reply, Exception):
            raise reply
        match self.verb:
            case "pttl":
                return str(reply)
            case "peek":
                return "no" if reply == -2 else "yes"
            case "try":
                return "no" if reply is None else "yes"
            case "renew" | "release" | "expire":
                return "yes" if reply else "no"
        return "ok"


VERBS = {"try": 30, "renew": 25, "release": 8, "peek": 10, "pttl": 20, "expire": 5, "type": 1, "forget": 1}


def draw_step(dice: random.Random) -> Step:
    verb = dice.choices(list(VERBS), list(VERBS.values()))[0]
    ttl = dice.choice([dice.randint(5, 60), dice.randint(60, 400), dice.randint(300, 3_000)])
    return Step(verb, dice.randrange(len(KEYS)), dice.randrange(len(TOKENS)), ttl, dice.random() < 0.3)


class Model:
    """The program that answers as the model does; its time is set by hand."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, lines: list[str]) -> list[str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()
        return [self.process.stdout.readline().strip() for _ in lines]

    def close(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(timeout=10)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, built from tests/sim."""
    if shutil.which("make") is None:
        pytest.fail("make is needed to build the model")
    out = tmp_path_factory.mktemp("sim")
    command = ["make", "-s", "-f", "tests/sim/Makefile", str(out / "model"), f"OUT={out}"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=240, env=_plain_environment())
    return out / "model"


@pytest.fixture
def model(program: Path) -> Iterator[Model]:
    model = Model(program)
    yield model
    assert model.close() == 0


def micros(reply: Any) -> int:
    return int(reply[0]) * 1_000_000 + int(reply[1])


def run_on_server(server: Server, steps: list[Step]) -> tuple[int, int, list[str]]:
    """Runs a burst in one transaction: the server's time (us) before and after it, and the outcomes."""
    pipe = server.admin().pipeline(transaction=True)
    pipe.time()
    counts = [step.queue(pipe) for step in steps]
    pipe.time()
    replies = pipe.execute(raise_on_error=False)
    outcomes, place = [], 0
    for step, count in zip(steps, counts, strict=True):
        place += count
        outcomes.append(step.outcome(replies[place]))
    return micros(replies[0]), micros(replies[-1]), outcomes


def agrees(step: Step, real: str, model: str) -> bool:
    """The same word; of a ttl, the same but for the time that bursts take on the server."""
    if step.verb == "pttl" and "-2" not in (real, model):
        return abs(int(real) - int(model)) <= NEAR // 1000
    return real == model


def test_ten_thousand_steps_are_answered_alike(server: Server, model: Model) -> None:
    dice = random.Random(server.kind)
    wipe = [Step("wipe", 0), Step("forget", 0)]
    started, _, _ = run_on_server(server, wipe)
    judged, passed_over, seen = 0, 0, set()
    while judged < STEPS:
        steps = [draw_step(dice) for _ in range(BURST)]
        began, ended, real = run_on_server(server, steps)
        nearest, *answers = model.ask([f"at {began - started}", *(step.line() for step in steps)])
        if int(nearest) < NEAR or ended - began > LONGEST:
            # A key ended just then, or the server was held up between two commands: nobody can say.
            passed_over += 1
            assert passed_over < 1_000
            run_on_server(server, wipe)
            model.ask([step.line() for step in wipe])
            continue
        for place, (step, ours, theirs) in enumerate(zip(steps, answers, real, strict=True)):
            assert agrees(step, theirs, ours), (step, theirs, ours, steps[: place + 1])
            seen.add((step.verb, "some" if step.verb == "pttl" and theirs != "-2" else theirs))
        judged += len(steps)
        time.sleep(dice.choice([0.0, dice.uniform(0, 0.02), dice.uniform(0, 0.1)]))
    run_on_server(server, wipe)
    words = ("yes", "no", "noscript", "wrongtype")
    scripted = {(verb, word) for verb in ("renew", "release") for word in words}
    plain = {(verb, word) for verb in ("try", "peek", "expire") for word in words[:2]}
    assert seen >= scripted | plain | {("pttl", "some"), ("pttl", "-2")}
