"""Locks between processes. The kernel drops them with the process: after a kill -9 nothing has to be cleaned up."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileLock:
    """A lock file and what this process holds of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def take(self, *, shared: bool = False) -> None:
        """Waits until it is free."""
        fcntl.flock(self._open(), fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def try_take(self, *, shared: bool = False) -> bool:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._open(), kind | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            return False
        return True

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def write(self, text: str) -> None:
        """For whoever finds the lock taken."""
        os.ftruncate(self._open(), 0)
        os.pwrite(self._open(), text.encode(), 0)

    def read(self) -> str:
        return self.path.read_text().strip()

    @contextmanager
    def held(self, *, shared: bool = False) -> Iterator[None]:
        self.take(shared=shared)
        try:
            yield
        finally:
            self.release()

    def _open(self) -> int:
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._fd


def is_taken(path: Path) -> bool:
    """Whether some process, this one included, holds the lock alone."""
    lock = FileLock(path)
    free = lock.try_take(shared=True)
    lock.release()
    return not free
