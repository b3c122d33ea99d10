"""The floors: the least that a pair (TRY, then RELEASE) can cost, once in blocking C and once on the loop.

They send what the product sends, byte for byte but for the token, which stays the same from pair to pair.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from benchmarks.server import inline_bytes


@dataclass(frozen=True)
class Pair:
    """The two commands of a pair, in the words of the product."""

    key: str
    script: str
    token: str = "5f0c8f5e-3c1d-4d1b-9d3b-0a8f4d2c6e71"
    ttl_ms: int = 10_000

    @classmethod
    def of_product(cls, key: str) -> Pair:
        """With the product's own script."""
        from aioredlock_c import _core

        return cls(f"redisson:{key}", _core._scripts()["RELEASE"][0])

    def take_bytes(self) -> bytes:
        return inline_bytes(["SET", self.key, self.token, "NX", "PX", str(self.ttl_ms)])

    def give_bytes(self) -> bytes:
        digest = hashlib.sha1(self.script.encode()).hexdigest()
        return inline_bytes(["EVALSHA", digest, "1", self.key, self.token])
