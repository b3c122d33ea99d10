"""Opens connections the way the user's client would, and hands their transports to our protocol.

The connection type of the extension is the caller of all this. What it offers in turn, on the loop's thread:

    client, loop                the Client (clients.py) and the loop that it serves
    _opened(transport, keep)    a connection stands; `keep` must live as long as the transport is open
    _unreachable(error)         the client's retry policy is used up, or dialling again does not help
    _wants() -> bool            something waits, is held or owed, and it was not closed: dial
    _pause() -> float           seconds to wait before a dial: the last transports were short-lived
    _holds() -> bool            something is held
    _idle() -> bool             nothing is held, waiting, owed or unanswered
    _release_all()              ends every wait and hold; what is owed is still sent
    _close()                    closes the transport (resets it if commands are unanswered), ends the dial
    _abort()                    closes the transport without a word
    _wait_closed() -> Future    done when the transport has told connection_lost and the dial has ended

It runs `dial` as a task whenever `_wants()` and nothing stands, and again in the next turn when that task was
cancelled by anybody else while `_wants()`: to cancel all tasks of a loop must not cost a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, NamedTuple

from .clients import Client, describe, pool_of, unsupported

__all__ = [
    "Client",
    "Opened",
    "aclose",
    "describe",
    "dial",
    "keep",
    "open_connection",
    "pool_of",
    "start_keeper",
    "stop_keeper",
    "wake",
]

FIRST_PAUSE = 0.1  # seconds between rounds of dials for what is held or owed; doubled each time
LAST_PAUSE = 1.0  # seconds: the longest pause between dials while something is held
DRAIN = 1.0  # seconds that a loop which shuts down waits for releases
LEAVE = 0.5  # seconds of these that holders have to leave by themselves
CLOSE = 0.5  # seconds for a transport to close in peace
STEP = 0.002  # seconds between two looks of a drain

# Errors of the resolver that a name is simply not there, as opposed to "try again".
_NO_NAME = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)


class Opened(NamedTuple):
    """A connection that was taken over.

    transport: authenticated, its database selected, RESP2, nothing unread; the protocol is ours.
    keep: would close the transport if it were collected.
    """

    transport: asyncio.Transport
    keep: object


async def open_connection(client: Client, protocol: asyncio.BaseProtocol) -> Opened:
    """Opens one connection as the client itself would, once, and gives its transport to `protocol`.

    Raises the errors of the client's library (its TimeoutError after `client.dial_timeout` seconds), whatever
    the client's credential provider raises, and TypeError where the connection has no socket of asyncio's.
    On any failure, cancellation included, nothing is left open.
    """
    connection = client.make_connection()
    writers = _watch_writers(connection)
    try:
        await _bounded(connection, client, writers)
        return _take_over(connection, client, protocol)
    except BaseException as error:
        cut = isinstance(error, RuntimeError) and any(writer.is_closing() for writer in writers)
        _abort(connection, writers)
        connection._writer = connection._reader = None  # or it would warn when it is collected
        if cut:  # what uvloop says of a transport that the server has closed
            raise client.connection_error("Connection closed by server.") from error
        if isinstance(error.__context__, asyncio.LimitOverrunError):  # what a StreamReader makes a ValueError
            raise client.connection_error("The server's greeting has a line without an end") from error
        raise
    finally:
        vars(connection).pop("_connect", None)  # a cycle


def _watch_writers(connection: Any) -> list[Any]:
    """Takes in the writer that the connection opens: the library may let go of one that is still closing."""
    writers: list[Any] = []
    connect: Callable[[], Awaitable[None]] = connection._connect

    async def watched() -> None:
        await connect()
        writers.append(connection._writer)

    connection._connect = watched
    return writers


async def _greet(connection: Any) -> Exception | None:
    """Connects with all that the client says in greeting; afterwards the connection speaks RESP2.

    What goes wrong is returned: a loop that ends reports whatever the tasks raise that it cancels.
    """
    try:
        await connection.connect()
        if str(getattr(connection, "protocol", None) or 2) != "2":
            # The class took no protocol=2.
            await connection.send_command("HELLO", 2)
            await connection.read_response()
    except Exception as error:
        return error
    return None


async def _bounded(connection: Any, client: Client, writers: list[Any]) -> None:
    """Greets for `client.dial_timeout` at most; whatever happens, the greeting has ended by then."""
    task = asyncio.get_running_loop().create_task(_greet(connection))
    try:
        done, _ = await asyncio.wait((task,), timeout=client.dial_timeout)
        if not done:
            raise client.timeout_error("Timeout connecting to server")
    except BaseException:
        _abort(connection, writers)  # with nothing left to wait for, the library ends soon
        await _end(task)
        raise
    if (error := task.result()) is not None:
        raise error


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancels a task and waits until it has ended."""
    task.cancel()
    while not task.done():
        # Cancelled ourselves meanwhile: no matter, the dial has failed already.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()  # looked at: nobody else will


def _take_over(connection: Any, client: Client, protocol: asyncio.BaseProtocol) -> Opened:
    """Our protocol takes the transport of an open connection, which is an empty shell afterwards.

    Nothing here waits, so that no byte can come in between.
    """
    reader, writer = connection._reader, connection._writer
    transport: Any = getattr(writer, "transport", None)
    if not isinstance(reader, asyncio.StreamReader) or not hasattr(transport, "set_protocol"):
        raise unsupported(connection)
    _check_nothing_unread(reader, connection._parser, client)
    # At its end the old protocol has left the transport half open: nothing would ever be heard of it.
    if reader.at_eof() or reader.exception() is not None or transport.is_closing():
        raise client.connection_error("Connection closed by server.")
    transport.set_protocol(protocol)
    # With its reader and writer the connection would close the transport when it is collected.
    connection._writer = connection._reader = None
    return Opened(transport, writer)


def _check_nothing_unread(reader: Any, parser: Any, client: Client) -> None:
    """Raises the client's error where the server sent what the greeting has not read."""
    waiting = bytes(reader._buffer)
    if waiting.startswith(b"-"):  # "max number of clients reached"
        raise client.server_error(waiting[1:].partition(b"\r\n")[0].decode(errors="replace"))
    native = getattr(parser, "_reader", None)  # hiredis and libvalkey
    if native is not None and hasattr(native, "has_data"):
        parsed = bool(native.has_data())
    else:
        parsed = bool(getattr(getattr(parser, "_buffer", None), "length", 0))  # aioredis without hiredis
    if waiting or parsed:
        raise client.connection_error("The server said more than it was asked while connecting")


def _abort(connection: Any, writers: list[Any]) -> None:
    """Closes what a failed dial has opened."""
    for writer in (*writers, connection._writer):
        transport = getattr(writer, "transport", None)
        if transport is not None:
            transport.abort()


async def dial(connection: Any) -> None:
    """Dials until a connection stands or nobody wants one. The body of the connection type's task.

    A round has as many dials as the client's retry policy, with its pauses. After it what waits is told
    (`_unreachable`); for what is held or owed another round begins after a pause.
    """
    await asyncio.sleep(connection._pause())
    pause = FIRST_PAUSE
    while (error := await _round(connection)) is not None:
        connection._unreachable(error)
        if not connection._wants():
            return
        await asyncio.sleep(pause)
        pause = min(2 * pause, LAST_PAUSE)


async def _round(connection: Any) -> Exception | None:
    """One round of dials; None when a connection stands or is no longer wanted, else the last error."""
    client: Client = connection.client
    pauses = client.pauses()
    while True:
        if not connection._wants():
            return None
        try:
            opened = await open_connection(client, connection)
        except Exception as error:
            pause = None if _is_final(client, error) else next(pauses, None)
            if pause is None:
                return error
        else:
            connection._opened(*opened)
            return None
        # What is held cannot wait for a policy of long pauses.
        await asyncio.sleep(min(pause, LAST_PAUSE) if connection._holds() else pause)


def _is_final(client: Client, error: Exception) -> bool:
    """Would the next dial fail alike, as with a wrong password, database, certificate, name or argument?"""
    if not isinstance(error, (client.connection_error, client.timeout_error, OSError)):
        return True
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (*client.final_errors, ssl.SSLCertVerificationError)):
            return True
        if isinstance(cause, socket.gaierror) and cause.errno in _NO_NAME:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


async def keep(connection: Any) -> AsyncGenerator[None, None]:
    """The keeper: a generator left running on the loop, which `loop.shutdown_asyncgens()` closes.

    So the connection learns of the end of its loop, in time to release what is held and to close.
    """
    try:
        yield
    finally:
        await _drain(connection)


def start_keeper(connection: Any) -> AsyncGenerator[None, None]:
    """A keeper that the running loop knows of; keep the reference. To be done with it, see `stop_keeper`."""
    keeper = keep(connection)
    with contextlib.suppress(StopIteration):
        keeper.asend(None).send(None)
    return keeper


def stop_keeper(keeper: AsyncGenerator[None, None]) -> None:
    """Ends the keeper of a connection that has closed, without a task: there is nothing left to wait for."""
    with contextlib.suppress(StopIteration):
        keeper.aclose().send(None)


def wake(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Has the loop call it soon, from any thread and from any finalizer.

    In debug mode uvloop looks at the topmost frame: let it be this one. CPython 3.11 also collects while it
    makes a coroutine, and the frame of that one, once it was looked at, is broken.
    """
    loop.call_soon_threadsafe(callback)


async def _drain(connection: Any) -> None:
    """What a connection does while its loop shuts down; harmless when it has closed before."""
    loop = asyncio.get_running_loop()
    end = loop.time() + DRAIN
    try:
        # A generator of the user's that is being closed too may hold a lock: it leaves by itself.
        while connection._holds() and loop.time() < end - DRAIN + LEAVE:
            await asyncio.sleep(STEP)
        await _release_all(connection, end)
    finally:
        connection._close()
    await _closed(connection)


async def _release_all(connection: Any, end: float) -> None:
    connection._release_all()
    while not connection._idle() and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(STEP)


async def _closed(connection: Any) -> None:
    """Waits until the transport has closed; a peer that does not answer the good-bye is not waited for."""
    closed = connection._wait_closed()
    if closed.done():
        return
    await asyncio.wait((closed,), timeout=CLOSE)
    if not closed.done():
        connection._abort()
        await asyncio.wait((closed,), timeout=CLOSE)


async def aclose(redis: object) -> None:
    """Releases what this loop holds through a client and closes our connection to its server now.

    Never required: the connection closes by itself when its client is gone, when it is idle, and when the
    loop shuts down. Waiters of this loop end with an error. The client itself stays open, and a lock of it
    that is acquired later opens a connection anew.

    redis: the client that was given to Redisson.
    Raises TypeError for a client that is not supported.

    .. versionadded:: 0.1.0
    """
    from . import _core

    connection: Any = _core.connection_of(pool_of(redis))
    if connection is None:
        return
    try:
        await _release_all(connection, asyncio.get_running_loop().time() + DRAIN)
    finally:
        connection._close()
    await _closed(connection)
