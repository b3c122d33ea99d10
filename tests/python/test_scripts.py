"""The scripts that the server runs: their digests, and that they name no key but the one they are given."""

from __future__ import annotations

import hashlib
import re

from support.servers import Server

from aioredlock_c import _core


def test_the_digests_are_those_of_the_texts() -> None:
    scripts = _core._scripts()
    assert {name.upper() for name in scripts} >= {"RENEW", "RELEASE"}
    for text, digest in scripts.values():
        assert digest == hashlib.sha1(text.encode()).hexdigest()


def test_the_server_knows_them_by_these_digests(server: Server) -> None:
    for text, digest in _core._scripts().values():
        assert server.admin().script_load(text) == digest


def test_keys_and_values_are_arguments() -> None:
    for text, _ in _core._scripts().values():
        assert "redisson" not in text
        for call in re.findall(r"redis\.p?call\(([^)]*)\)", text):
            assert call.split(",")[1].strip() == "KEYS[1]", call
        assert "KEYS[2]" not in text


def test_nothing_sent_shortens_or_survives() -> None:
    """Scripts are constants, and use only what the least ACL allows."""
    for text, _ in _core._scripts().values():
        commands = {name.lower() for name in re.findall(r"redis\.p?call\(\s*['\"](\w+)['\"]", text)}
        assert commands <= {"get", "del", "pexpire", "pttl"}, commands
