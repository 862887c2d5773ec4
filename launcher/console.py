"""The one readable log: every line whole, with its time and the process it comes from."""

import os
import re
import sys
import time
from typing import Protocol, TextIO

_COLOURS = {"web": 36, "agent": 35, "worker": 33, "postgres": 34, "database": 34, "emulators": 32}
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)  # what people typed gets into logs, and must not move our cursor
_LONGEST = 8192


class Log(Protocol):
    def line(self, name: str, text: str) -> None: ...


class Console:
    """Writes to a terminal or a file; colour only on a terminal that wants it (NO_COLOR is honoured)."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._colour = self._out.isatty() and not os.environ.get("NO_COLOR")

    def say(self, text: str = "") -> None:
        self._out.write(f"{text}\n")
        self._out.flush()

    def line(self, name: str, text: str) -> None:
        clean = _CONTROL.sub("?", text.rstrip())
        column = f"{name:<9}|"
        if self._colour:
            column = f"\x1b[{_COLOURS.get(name, 37)}m{column}\x1b[0m"
        self.say(f"{time.strftime('%H:%M:%S')} {column} {clean}")


class Lines:
    """Cuts a stream of bytes into lines; one without an end is cut where it gets too long."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST:
            lines, self._rest = [*lines, self._rest], b""
        return [line.decode(errors="replace") for line in lines]

    def end(self) -> list[str]:
        rest, self._rest = self._rest, b""
        return [rest.decode(errors="replace")] if rest else []
