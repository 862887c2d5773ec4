"""One embedded PostgreSQL for all commands of a data folder: up with the first that needs it, down with the last.

Every user holds a shared lock. A small process of its own, the keeper, starts the server and stops it when nobody holds
that lock any more; the kernel lets go of it for a user who was killed. A killed keeper takes the server with it, and
the users start another one.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from launcher.errors import LauncherError, PostgresError
from launcher.locks import FileLock, is_taken
from launcher.postgres import STOP_SECONDS, EmbeddedPostgres

_LOOK_SECONDS = 0.1
_READY, _NOTE = "ready", "note: "
_TRIM_EVERY = 600  # looks


def _ignore(_: str) -> None:
    pass


class SharedPostgres:
    """The server of one data folder, as one of its users sees it."""

    def __init__(self, data_dir: Path, note: Callable[[str], None] = _ignore) -> None:
        self.server = EmbeddedPostgres(data_dir)
        self._note = note
        self._user = FileLock(self.server.home / "users.lock")
        self._keeper: subprocess.Popen[str] | None = None

    def open(self) -> None:
        self._user.take(shared=True)
        self.ensure_up()

    def ensure_up(self) -> None:
        with FileLock(self.server.home / "start.lock").held():
            if not self._comes_up():
                self._wait_for_orphan()
                self._start_keeper()

    def _comes_up(self) -> bool:
        """A kept server may be on its way down, and then its keeper is too."""
        deadline = time.monotonic() + STOP_SECONDS
        while self.kept():
            if self.server.answers():
                return True
            if time.monotonic() > deadline:
                raise PostgresError(
                    f"The database of {self.server.data_dir} runs but does not answer; its log is {self.server.log}"
                )
            time.sleep(_LOOK_SECONDS)
        return False

    def kept(self) -> bool:
        if self._keeper is not None:
            self._keeper.poll()  # reaps it
        return is_taken(self.server.home / "keeper.lock")

    def close(self) -> None:
        """Returns when the server is down, unless others still use it."""
        self._user.release()
        deadline = time.monotonic() + STOP_SECONDS
        while self.kept() and not self._used_by_others() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS / 4)
        if self._keeper is not None and not self.kept():
            self._keeper.wait(STOP_SECONDS)

    def _used_by_others(self) -> bool:
        lock = FileLock(self.server.home / "users.lock")
        if not lock.try_take(shared=True):
            return False  # the keeper has it alone: it stops the server
        lock.release()
        alone = lock.try_take()
        lock.release()
        return not alone

    def _wait_for_orphan(self) -> None:
        """A server whose keeper was killed is about to end, told by the kernel."""
        deadline = time.monotonic() + STOP_SECONDS
        while (pid := self.server.running_pid()) is not None:
            if time.monotonic() > deadline:
                raise PostgresError(
                    f"A server (pid {pid}) that nobody keeps runs on {self.server.cluster} and does not end; stop it"
                )
            time.sleep(_LOOK_SECONDS)

    def _start_keeper(self) -> None:
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "launcher.keeper", str(self.server.data_dir)],
            cwd=Path(__file__).resolve().parents[1],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        said = self._listen(cast(IO[str], self._keeper.stdout))
        if said != _READY:
            self._keeper.wait(STOP_SECONDS)
            raise PostgresError(said or "The embedded PostgreSQL's keeper ended before the server was up")

    def _listen(self, out: IO[str]) -> str:
        """What the keeper said last: `ready`, or why not."""
        said = ""
        with out:
            for said in map(str.strip, out):
                if said == _READY:
                    break
                if said.startswith(_NOTE):
                    self._note(said.removeprefix(_NOTE))
        return said


@contextmanager
def running(data_dir: Path, note: Callable[[str], None] = _ignore) -> Iterator[SharedPostgres]:
    """The server of `data_dir`, up, with its database."""
    shared = SharedPostgres(data_dir, note)
    try:
        shared.open()
        yield shared
    finally:
        shared.close()


def keep(data_dir: Path) -> None:
    """The keeper's life. Says `ready` on stdout when the database is there."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    server = EmbeddedPostgres(data_dir)
    life, users = FileLock(server.home / "keeper.lock"), FileLock(server.home / "users.lock")
    life.take()
    try:
        server.start(note=lambda text: print(_NOTE + text, flush=True))
        server.create_database()
        print(_READY, flush=True)
        sys.stdout.close()
        _watch(server, users)
    finally:
        server.stop()


def _watch(server: EmbeddedPostgres, users: FileLock) -> None:
    looks = 0
    while server.alive() and not users.try_take():
        time.sleep(_LOOK_SECONDS)
        looks += 1
        if looks % _TRIM_EVERY == 0:
            server.trim_log()


if __name__ == "__main__":
    try:
        keep(Path(sys.argv[1]))
    except (LauncherError, OSError) as error:
        print(error)
        sys.exit(1)
