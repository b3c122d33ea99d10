"""Counters: those of a connection that stands and those of its predecessors, added up."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

from .clients import pool_of

__all__ = ["remember", "stats"]

_NOW = ("waiting_now", "held_now")  # how things stand, as opposed to how often they happened
_NAMES = (
    *("acquired", "handed_off", "released", "given_up", *_NOW, "tries", "renewals", "renewed_elsewhere"),
    *("lost", "reconnects", "bytes_in", "bytes_out"),
)

# Pool -> loop -> what the connections counted that have closed for good.
_Past = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, int]]
_past: weakref.WeakKeyDictionary[Any, _Past] = weakref.WeakKeyDictionary()


def stats(redis: object) -> dict[str, int]:
    """What the locks of the running loop have done through a client's connection pool.

    redis: the client that was given to Redisson.

    Returns numbers that only rise, from the first use of that pool on this loop on, over reconnects:

    acquired: holds that began, by a grant of the server's or by handing on.
    handed_off: leases passed on within the process, without a round trip.
    released: holds that were left while their lease was certain.
    given_up: acquires that ended without the lock; neither cancelled ones nor errors count.
    tries: commands sent to take a key.
    renewals: commands sent to renew a lease; renewed_elsewhere: renewals made for a loop that stood still.
    lost: leases lost, one for each hold. One that only its release told of counts among `released` too.
    reconnects: connections made in the place of one that broke.
    bytes_in, bytes_out: bytes of replies and commands, without what opening a connection takes.

    and two that say how it is now: waiting_now, how many acquires wait; held_now, how many leases are held.
    All are zero before the first use. There is no I/O.

    Raises TypeError for a client that is not supported, RuntimeError where no loop runs.

    .. versionadded:: 0.1.0
    """
    from . import _core

    pool = pool_of(redis)
    loop = asyncio.get_running_loop()
    past = _past.get(pool)
    total = {**dict.fromkeys(_NAMES, 0), **((past and past.get(loop)) or {})}
    connection: Any = _core.connection_of(pool)
    if connection is not None:
        for name, count in connection._stats().items():
            total[name] += count
    return total


def remember(connection: Any) -> None:
    """Takes over the counters of a connection that has closed for good. Called by the extension."""
    pool = connection.client.pool()
    if pool is None:
        return
    before = _past.setdefault(pool, weakref.WeakKeyDictionary()).setdefault(connection.loop, {})
    for name, count in connection._stats().items():
        if name not in _NOW:
            before[name] = before.get(name, 0) + count
