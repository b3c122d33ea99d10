"""Clients of the tests and what they look like from the server's side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio

from support.servers import Server

Client = redis.asyncio.Redis


def on_server(key: object) -> str:
    """The name that a lock's key has on the server."""
    return f"redisson:{key}"


def make_client(server: Server, **options: Any) -> redis.asyncio.Redis:
    """A client of redis-py's for this server."""
    client: redis.asyncio.Redis = redis.asyncio.Redis(host=server.host, port=server.port, **options)
    return client


async def close_client(client: Any) -> None:
    """Closes a client of any of the supported versions (redis-py 5.0.0 knows only close())."""
    await (client.aclose() if hasattr(client, "aclose") else client.close())


@asynccontextmanager
async def client_of(server: Server, **options: Any) -> AsyncIterator[redis.asyncio.Redis]:
    """A client for the length of a block."""
    client = make_client(server, **options)
    try:
        yield client
    finally:
        await close_client(client)


def connections(server: Server) -> int:
    """How many connections the server has."""
    return int(server.admin().info("clients")["connected_clients"])


def value_of(server: Server, key: object) -> str | None:
    """The value of a lock's key on the server, or None."""
    value = server.admin().get(on_server(key))
    return None if value is None else str(value)


def held_by_another(server: Server, key: object, seconds: float = 60) -> None:
    """Somebody else holds the lock from now on, whoever held it before."""
    server.admin().set(on_server(key), "another", px=int(seconds * 1000))


def free(server: Server, key: object) -> None:
    """Nobody holds the lock any more."""
    server.admin().delete(on_server(key))
