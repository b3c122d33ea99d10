import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Literal, SupportsFloat, SupportsIndex, TypeAlias, final
from uuid import UUID

from typing_extensions import Self, disjoint_base

from .clients import Client
from .exceptions import LockLostError

_Seconds: TypeAlias = SupportsFloat | SupportsIndex

@disjoint_base
class Redisson:
    carry: Any
    @property
    def redis(self) -> Any: ...
    @property
    def key(self) -> str: ...
    def __init__(
        self,
        redis: Any,
        key: str | int | UUID = "global",
        ex: _Seconds = 10,
        sleeptime_l: _Seconds = 0.02,
        sleeptime_h: _Seconds = 0.1,
        retry_count: SupportsIndex | None = 10,
        carry: Any = None,
        *,
        retry_times: SupportsIndex | None = None,
        blocking_timeout: _Seconds | None = None,
        required: bool = False,
        on_lost: Callable[[Self, LockLostError], object] | Literal["cancel"] | None = None,
        stall_limit: _Seconds = 60.0,
    ) -> None: ...
    def acquire(
        self, blocking: bool = True, blocking_timeout: _Seconds | None = None
    ) -> Coroutine[Any, Any, bool]: ...
    def release(self) -> Coroutine[Any, Any, None]: ...
    def extend(self, seconds: _Seconds) -> Coroutine[Any, Any, None]: ...
    def locked(self) -> Coroutine[Any, Any, bool]: ...
    def is_locked(self) -> bool: ...
    def ensure_held(self, seconds: _Seconds | None = None) -> None: ...
    def remaining(self) -> float: ...
    def uuid(self) -> str: ...
    def __aenter__(self) -> Coroutine[Any, Any, Self | None]: ...
    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Coroutine[Any, Any, None]: ...

@final
class Connection(asyncio.BufferedProtocol):
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def client(self) -> Client: ...

def connection_of(pool: object, /) -> Connection | None: ...
def _scripts() -> dict[str, tuple[str, str]]: ...
