"""What a server was asked, command by command, through MONITOR."""

from __future__ import annotations

import re
import socket
import threading
import uuid
from dataclasses import dataclass
from types import TracebackType

from support.servers import Server
from support.waiting import eventually

_LINE = re.compile(rb'^\+(\d+\.\d+) \[\d+ ([^\]]*)\] (".*")$', re.DOTALL)
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One command as the server saw it; `at` in seconds on its clock; `source` is "lua" in a script."""

    at: float
    source: str
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.words[0].upper()


def _parse(line: bytes) -> Command | None:
    match = _LINE.match(line)
    if match is None:
        return None
    words = tuple(word.decode(errors="replace") for word in _WORD.findall(match[3]))
    return Command(float(match[1]), match[2].decode(), words)


class Monitor:
    """Records in a thread of its own while the `with` block runs."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._commands: list[Command] = []

    def __enter__(self) -> Monitor:
        self._socket = socket.create_connection((self._server.host, self._server.port))
        self._socket.sendall(b"MONITOR\r\n")
        assert self._socket.recv(5) == b"+OK\r\n"
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        rest = b""
        while chunk := self._socket.recv(65536):
            *lines, rest = (rest + chunk).split(b"\r\n")
            self._commands.extend(command for line in lines if (command := _parse(line)) is not None)

    def commands(self) -> list[Command]:
        """All that the server was asked until now, our own questions left out."""
        mark = uuid.uuid4().hex
        self._server.admin().echo(mark)
        eventually(lambda: any(mark in command.words for command in list(self._commands)))
        return [command for command in self._commands if command.name not in ("ECHO", "CLIENT", "HELLO")]

    def of(self, name: str, key_on_server: str) -> list[Command]:
        """The commands of this name that touch this key, also those within scripts."""
        return [
            command for command in self.commands() if command.name == name and key_on_server in command.words
        ]
