"""What a user's client is: its library, how it connects, how patient it is, which errors it knows.

Everything that looks into a client library is here and in connect.py. The libraries are not imported: each is
found through the client's own connection class.
"""

from __future__ import annotations

import functools
import importlib
import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

SUPPORTED = (
    "redis.asyncio.Redis (redis-py 5.0 or later), valkey.asyncio.Valkey (valkey-py) "
    "or aioredis.Redis (aioredis 2.0.1, on Python 3.10)"
)

REPLY_TIMEOUT = 5.0  # seconds for a reply, where the client has no socket_timeout
LONGEST_TIMEOUT = 1e6  # seconds; a longer one (infinity too) is cut to this
ONLY_PAUSE = 0.1  # seconds between the two dials of a client without a retry policy

# Where the libraries define the connections that are sockets -> the library's package.
_ASYNC_MODULES = {
    "redis.asyncio.connection": "redis",
    "valkey.asyncio.connection": "valkey",
    "aioredis.connection": "aioredis",
}
# The classes of these modules that the watchdog can stand in for; those with TLS it cannot.
_PLAIN_CONNECTIONS = frozenset({"Connection", "UnixDomainSocketConnection"})
_SYNC_MODULES = frozenset({"redis.connection", "valkey.connection"})

# Arguments of a pool's connections that ours gets otherwise: they need RESP3, send commands that nobody asked
# for, or hold on to the pool.
_REPLACED: dict[str, object] = {
    "maint_notifications_config": None,
    "maint_notifications_pool_handler": None,
    "oss_cluster_maint_notifications_handler": None,
    "event_dispatcher": None,
    "cache_enabled": False,
    "client_cache": None,
    "health_check_interval": 0,
}


# Errors that the libraries have classes for, though older ones use them in their cluster clients alone.
_CLUSTER_ERRORS = {
    "MOVED": "MovedError",
    "ASK": "AskError",
    "TRYAGAIN": "TryAgainError",
    "CLUSTERDOWN": "ClusterDownError",
    "MASTERDOWN": "MasterDownError",
}


@dataclass(frozen=True, slots=True)
class Client:
    """What our connection has to know of the user's client. Holds neither the client nor its pool.

    pool: weak reference to the client's connection pool; dead once the user has let go of the client.
    connection_class: the pool's class of connections.
    connection_kwargs: a copy of what the pool makes its connections with; never shown, it holds secrets.
    reply_timeout: seconds that a reply may take.
    dial_timeout: seconds that opening a connection may take, from the name's look-up to the last reply.
    retries: of the client's retry policy: dials after the first one; negative: without end.
    backoff: the policy's pauses (`compute(failures)`, `reset()`), or None where the library has no policy.
    server_error: text of an error reply -> exception of the client's library.
    connection_error, timeout_error: the library's classes.
    final_errors: the library's errors that dialling again does not mend.
    """

    pool: weakref.ref[Any]
    connection_class: type[Any]
    connection_kwargs: dict[str, Any] = field(repr=False)
    reply_timeout: float
    dial_timeout: float
    retries: int
    backoff: Any = field(repr=False)
    server_error: Callable[[str], Exception] = field(repr=False)
    connection_error: type[Exception]
    timeout_error: type[Exception]
    final_errors: tuple[type[Exception], ...]

    def make_connection(self) -> Any:
        """A connection of the client's class, not opened, that speaks RESP2 where it can and never retries.

        Made with the pool's present arguments (a password may have been changed) while the pool lives.
        """
        pool = self.pool()
        kwargs = self.connection_kwargs if pool is None else _kwargs_of(pool)
        connection = _make(self.connection_class, kwargs)
        retry = getattr(connection, "retry", None)
        if retry is not None:
            retry._retries = 0  # the connection's own copy; redis-py 5.0.0 has no method for it
        return connection

    def watchdog_login(self) -> tuple[bytes | None, int, bytes | None, bytes | None] | None:
        """How the watchdog reaches the server by itself: the Unix socket's path (None: over TCP, to the peer
        of our connection), the database, user name and password.

        None where it cannot: TLS, a credential provider, connections of a class of the user's own.
        """
        connection = self.make_connection()
        kind = type(connection)
        if kind.__module__ not in _ASYNC_MODULES or kind.__name__ not in _PLAIN_CONNECTIONS:
            return None
        if getattr(connection, "credential_provider", None) is not None:
            return None
        encode = functools.partial(_bytes, encoding=str(getattr(connection, "encoding", None) or "utf-8"))
        path = getattr(connection, "path", None)
        return (
            None if path is None else os.fsencode(path),
            int(connection.db or 0),
            encode(connection.username),
            # The libraries log a user without a password in with an empty one.
            encode(connection.password) or (b"" if connection.username else None),
        )

    def pauses(self) -> Iterator[float]:
        """The seconds to wait between the dials of one round: one dial more than there are pauses."""
        if self.retries == 0 or self.backoff is None:
            yield ONLY_PAUSE
            return
        self.backoff.reset()
        failures = 0
        while self.retries < 0 or failures < self.retries:
            failures += 1
            pause = float(self.backoff.compute(failures))
            # Dialling without end must not keep a processor busy.
            yield max(pause, ONLY_PAUSE if self.retries < 0 else 0.0)


def pool_of(redis: object) -> object:
    """The connection pool of a client: what a connection of ours belongs to.

    Raises TypeError, naming what is supported, for anything but a client whose connections are sockets.
    """
    pool = getattr(redis, "connection_pool", None)
    connection_class = getattr(pool, "connection_class", None)
    if not isinstance(connection_class, type) or _refusal((type(pool), connection_class)) is not None:
        raise unsupported(redis)
    return pool


def describe(redis: object) -> Client:
    """Looks at a client and writes down what our connection needs of it; opens nothing.

    Raises TypeError as `pool_of` does, and what the library raises for arguments that its connection refuses.
    """
    pool: Any = pool_of(redis)
    errors = importlib.import_module(f"{_library_of(pool.connection_class)}.exceptions")
    kwargs = _kwargs_of(pool)
    # A pool made from a URL holds neither timeouts nor a retry policy: a connection made with it does.
    sample = _make(pool.connection_class, kwargs)
    reply_timeout = _seconds(getattr(sample, "socket_timeout", None), REPLY_TIMEOUT)
    retry = getattr(sample, "retry", None)
    return Client(
        pool=weakref.ref(pool),
        connection_class=pool.connection_class,
        connection_kwargs=kwargs,
        reply_timeout=reply_timeout,
        dial_timeout=_seconds(getattr(sample, "socket_connect_timeout", None), reply_timeout)
        + reply_timeout / 2,
        retries=int(getattr(retry, "_retries", 0)),
        backoff=getattr(retry, "_backoff", None),
        server_error=_error_maker(sample._parser, errors),
        connection_error=errors.ConnectionError,
        timeout_error=errors.TimeoutError,
        final_errors=(
            errors.AuthenticationError,
            getattr(errors, "AuthorizationError", errors.AuthenticationError),
            errors.ResponseError,
        ),
    )


def unsupported(redis: object) -> TypeError:
    """The TypeError for a client that cannot be served, with what it is and what can be."""
    return TypeError(f"redis must be a client whose connections are sockets: {SUPPORTED}; got {_what(redis)}")


def _kwargs_of(pool: Any) -> dict[str, Any]:
    """A copy of what a pool makes its connections with, without what ours must not have."""
    kwargs = dict(pool.connection_kwargs)
    kwargs.update({name: value for name, value in _REPLACED.items() if name in kwargs})
    if isinstance(kwargs.get("retry_on_error"), list):
        kwargs["retry_on_error"] = list(kwargs["retry_on_error"])  # each connection appends to it
    return kwargs


def _make(connection_class: type[Any], kwargs: dict[str, Any]) -> Any:
    try:
        return connection_class(**{**kwargs, "protocol": 2})
    except TypeError:
        # aioredis, and subclasses that take no protocol; what else is wrong is raised again here.
        return connection_class(**kwargs)


def _bytes(text: object, encoding: str) -> bytes | None:
    if isinstance(text, bytes):
        return text or None
    return None if text is None else str(text).encode(encoding) or None  # a number too, as the libraries do


def _seconds(timeout: float | None, default: float) -> float:
    return min(float(timeout), LONGEST_TIMEOUT) if timeout and timeout > 0 else default


def _error_maker(parser: Any, errors: Any) -> Callable[[str], Exception]:
    """Makes of an error's text what the library makes of it."""

    def server_error(text: str) -> Exception:
        code, _, rest = text.partition(" ")
        try:
            error = parser.parse_error(text)
            if type(error) is errors.ResponseError and hasattr(errors, _CLUSTER_ERRORS.get(code, "")):
                error = getattr(errors, _CLUSTER_ERRORS[code])(rest)
        except Exception:  # a text that the library cannot take apart, such as MOVED without an address
            error = None
        return error if isinstance(error, Exception) else errors.ResponseError(text)

    return server_error


def _library_of(connection_class: type[object]) -> str | None:
    """The package whose connections these are, or None where they are no sockets of a library we know."""
    modules = [base.__module__ for base in connection_class.__mro__]
    if any(name.partition(".")[0] == "fakeredis" for name in modules):
        return None  # derived from redis-py's class, but nothing is ever sent
    return next((_ASYNC_MODULES[name] for name in modules if name in _ASYNC_MODULES), None)


@functools.lru_cache(maxsize=64)
def _refusal(classes: tuple[type[Any], type[Any]]) -> str | None:
    """Why a pool of this class with connections of that class cannot be served; None where it can."""
    pool_class, connection_class = classes
    modules = [base.__module__ for base in (*pool_class.__mro__, *connection_class.__mro__)]
    if any(name.endswith(".sentinel") for name in modules):
        return "a client of a Sentinel pool, which is not supported"
    if any(name in _SYNC_MODULES for name in modules):
        return "a synchronous client"
    if _library_of(connection_class) is None:
        return f"connections of {connection_class.__module__}.{connection_class.__qualname__}"
    return None


def _what(redis: object) -> str:
    """What a refused client is, told by its type alone: a repr may show a password."""
    kind = type(redis)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    if any(base.__module__.endswith(".cluster") for base in kind.__mro__):
        return f"{name}, a cluster client, which is not supported"
    pool = getattr(redis, "connection_pool", None)
    connection_class = getattr(pool, "connection_class", None)
    if isinstance(connection_class, type):
        return f"{name} ({_refusal((type(pool), connection_class))})"
    return name
