"""Text recognition by the `tesseract` program, where the operator has installed it and asked for it.

The parser's process may open nothing once a file is before it, and stays so: before, it starts a helper that does
nothing but hand grey pixels to tesseract and text back. Whoever takes over pdfium gets to send pixels to it.
"""

import os
import re
import resource
import shutil
import socket
import struct
import subprocess
import time

_LANGUAGES = re.compile(r"[A-Za-z_]{2,30}(\+[A-Za-z_]{2,30}){0,9}")
_SIZE = struct.Struct("!II")  # width and height of a page; or the length of a text, and zero
_PAGE_SECONDS = 20
_MEMORY_BYTES = 1024 * 1024 * 1024
_MAX_TEXT_BYTES = 1_000_000
_MAX_PIXELS = 12_000_000  # an A3 page at 200 dots per inch
_MAX_PAGES = 50
_SHARE = 0.6  # of the time for the whole file


def command(languages: str) -> list[str]:
    """How tesseract is called for languages such as "eng+deu"; empty where there are none or it is not installed."""
    program = shutil.which("tesseract") if _LANGUAGES.fullmatch(languages) else None
    return [program, "stdin", "stdout", "-l", languages] if program else []


class Recogniser:
    """`spent` once enough pages were recognised or the time for it is over. An image has at most `max_pixels`."""

    max_pixels = _MAX_PIXELS

    def __init__(self, command: list[str], *, seconds: int) -> None:
        self._channel, theirs = socket.socketpair()
        if os.fork() == 0:
            self._channel.close()
            _help(theirs, command)
        theirs.close()
        self._until = time.monotonic() + _SHARE * seconds
        self._left = _MAX_PAGES

    @property
    def spent(self) -> bool:
        return self._left <= 0 or time.monotonic() > self._until

    def text(self, *, width: int, height: int, pixels: bytes) -> str:
        """Of an image of one byte per pixel, row by row from the top; empty where nothing was recognised."""
        self._left -= 1
        self._channel.sendall(_SIZE.pack(width, height) + pixels)
        length, _ = _SIZE.unpack(_received(self._channel, _SIZE.size))
        return _received(self._channel, length).decode("utf-8", "replace").strip()


def _help(channel: socket.socket, command: list[str]) -> None:
    """The helper's life: it ends when the other end is closed, by whatever."""
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nothing, standard)
        while size := _received(channel, _SIZE.size):
            width, height = _SIZE.unpack(size)
            if width * height > 2 * _MAX_PIXELS:
                break
            text = _recognised(command, b"P5 %d %d 255\n" % (width, height) + _received(channel, width * height))
            channel.sendall(_SIZE.pack(len(text), 0) + text)
    finally:
        os._exit(0)


def _recognised(command: list[str], image: bytes) -> bytes:
    try:
        done = subprocess.run(
            command,
            input=image,
            stdout=subprocess.PIPE,
            env={"OMP_THREAD_LIMIT": "1"},
            timeout=_PAGE_SECONDS,
            check=False,
            preexec_fn=_limit,
        )
    except (subprocess.TimeoutExpired, OSError):
        return b""
    return done.stdout[:_MAX_TEXT_BYTES]


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_PAGE_SECONDS, _PAGE_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _received(channel: socket.socket, size: int) -> bytes:
    """Exactly so many bytes; none where the other end is gone."""
    blocks = []
    while size:
        block = channel.recv(min(size, 1024 * 1024))
        if not block:
            return b""
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)
