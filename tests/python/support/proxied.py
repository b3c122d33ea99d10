"""Clients whose way to the server a test can cut."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol

import redis.asyncio

from aioredlock_c import _core
from support.clients import close_client
from support.proxy import Proxy
from support.servers import Server
from support.waiting import aeventually

SLACK = 0.5  # seconds that a loaded machine may take longer


class _Place(Protocol):
    host: str
    port: int


@asynccontextmanager
async def via(place: _Place, **options: Any) -> AsyncIterator[Any]:
    """A client that connects to this place: a proxy, or a server of any kind."""
    client = redis.asyncio.Redis(host=place.host, port=place.port, **options)
    try:
        yield client
    finally:
        await close_client(client)


@contextmanager
def proxy_before(server: Server) -> Iterator[Proxy]:
    """A proxy before a server that knows our scripts already: each reply is then the one that matters."""
    for text, _ in _core._scripts().values():
        server.admin().script_load(text)
    with Proxy(server.host, server.port) as proxy:
        yield proxy


async def cut_and_await(proxy: Proxy, fin: bool = False) -> None:
    """Cuts all connections and waits until the next one has come."""
    opened = proxy.opened
    proxy.cut(fin)
    await aeventually(lambda: proxy.opened > opened)
