"""Locks with a planted fault, which the judges must catch."""

from __future__ import annotations

import asyncio
from typing import Any

from aioredlock_c import LockNotOwnedError, Redisson
from chaos.clock import now


class Deaf(Redisson):
    """Does not want to know of a loss."""

    def is_locked(self) -> bool:
        return True

    def remaining(self) -> float:
        return max(super().remaining(), 0.5)


class Lasting(Redisson):
    """Takes its lease for longer than the server does."""

    def is_locked(self) -> bool:
        return self.remaining() > 0

    def remaining(self) -> float:
        left = super().remaining()
        return left + 2.0 if left > 0 else 0.0


class Early(Redisson):
    """Lets the server have the key while its holder still believes."""

    async def acquire(self, *arguments: Any, **more: Any) -> bool:
        got = await super().acquire(*arguments, **more)
        if got:
            await super().release()
        return got

    async def release(self) -> None:
        pass

    def is_locked(self) -> bool:
        return True

    def remaining(self) -> float:
        return 0.5


class Unasked(Redisson):
    """Takes a lock that it was refused."""

    async def acquire(self, *arguments: Any, **more: Any) -> bool:
        await super().acquire(blocking=False)
        return True

    async def release(self) -> None:
        try:
            await super().release()
        except LockNotOwnedError:
            pass

    def is_locked(self) -> bool:
        return True

    def remaining(self) -> float:
        return 0.5


class Tardy(Redisson):
    """Goes by its lease's end alone, and does not listen to the server."""

    def __init__(self, *arguments: Any, on_lost: Any = None, **more: Any) -> None:
        super().__init__(*arguments, on_lost=self._lost, **more)
        self._told = on_lost
        self._until = 0.0

    def _lost(self, lock: Redisson, error: Exception) -> None:
        asyncio.get_running_loop().call_later(self.remaining(), self._told, lock, error)

    def is_locked(self) -> bool:
        return self.remaining() > 0

    def remaining(self) -> float:
        left = super().remaining()
        if left > 0:
            self._until = now() + left
        return max(left, self._until - now())


class Mute(Redisson):
    """Does not tell of a loss."""

    def __init__(self, *arguments: Any, on_lost: object = None, **more: Any) -> None:
        super().__init__(*arguments, **more)


class Unwatched(Redisson):
    """Is not renewed while its loop stands still."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, stall_limit=0, **more)


LOCKS: dict[str, type[Redisson]] = {
    "": Redisson,
    "deaf": Deaf,
    "lasting": Lasting,
    "early": Early,
    "unasked": Unasked,
    "tardy": Tardy,
    "mute": Mute,
    "unwatched": Unwatched,
}
