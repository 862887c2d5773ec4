"""What the launched processes find in their environment: ours, then `.env`, then what only the launcher can know."""

import fcntl
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values

from backend.config.embedded import embedded_database_url
from launcher.binaries import wheel_install
from launcher.errors import LauncherError

ROOT = Path(__file__).resolve().parents[1]
SECRETS = ("SECRET_KEY", "JWT_SIGNING_KEY", "SERVICE_KEY")
_HOST = "127.0.0.1"
_HEADER = "# Made by the first start. Settings and their meaning: .env.example\n"


@dataclass(frozen=True, slots=True)
class Environment:
    """`variables` is complete: what a child process gets. `embedded` says whether the database is ours to start."""

    variables: Mapping[str, str]
    data_dir: Path
    port: int
    agent_port: int
    embedded: bool

    @property
    def url(self) -> str:
        return f"http://{_HOST}:{self.port}"

    @property
    def agent_url(self) -> str:
        return f"http://{_HOST}:{self.agent_port}"


def read(
    *, root: Path = ROOT, given: Mapping[str, str] = os.environ, emulated: Mapping[str, str] | None = None
) -> Environment:
    """`emulated`: variables that point at the emulators. That mode has data of its own, whatever DATABASE_URL says."""
    values = {**_dotenv(root / ".env"), **given}
    data_dir = (root / (values.get("DATA_DIR") or ".data")).absolute()
    if emulated is not None:
        data_dir /= "emulated"
        own = embedded_database_url(data_dir)
        values |= {**emulated, "DATABASE_URL": own, "AGENT_DATABASE_URL": own, "STORAGE_DIR": str(data_dir / "files")}
    embedded = emulated is not None or not values.get("DATABASE_URL")
    if embedded:
        values |= {"DATABASE_URL": embedded_database_url(data_dir)}
    port, agent_port = _port(values, "PORT", 8000), _port(values, "AGENT_PORT", 8001)
    values |= {
        "DATA_DIR": str(data_dir),
        "BIND": _HOST,
        "PORT": str(port),
        "AGENT_PORT": str(agent_port),
        "PYTHONUNBUFFERED": "1",
    }
    values |= {name: value for name, value in _urls(port, agent_port).items() if not values.get(name)}
    values["PATH"] = _path(values.get("PATH", os.defpath), embedded=embedded)
    return Environment(
        {name: value for name, value in values.items() if value or name in given}, data_dir, port, agent_port, embedded
    )


def _urls(port: int, agent_port: int) -> dict[str, str]:
    return {"SITE_URL": f"http://{_HOST}:{port}", "AGENT_URL": f"http://{_HOST}:{agent_port}"}


def _path(path: str, *, embedded: bool) -> str:
    """The virtual environment first, then the embedded server's psql and pg_dump: the system's may be too old."""
    ours = [Path(sys.executable).parent, *([wheel_install() / "bin"] if embedded else [])]
    return os.pathsep.join([*map(str, ours), path])


def _port(values: Mapping[str, str], name: str, default: int) -> int:
    text = values.get(name) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise LauncherError(f"{name} is {text!r} and must be a number from 1 to 65535")
    return int(text)


def _dotenv(path: Path) -> dict[str, str]:
    try:
        return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value}
    except UnicodeDecodeError as error:
        raise LauncherError(f"{path} is not a UTF-8 text file") from error


def ensure_secrets(*, root: Path = ROOT, given: Mapping[str, str] = os.environ) -> list[str]:
    """Writes the secrets that neither the environment nor `.env` has; returns their names. What is there stays."""
    path = root / ".env"
    with _one_at_a_time(root):
        present = {**_dotenv(path), **given}
        missing = [name for name in SECRETS if not present.get(name)]
        if missing:
            old = path.read_text() if path.exists() else _HEADER
            lines = "".join(f"{name}={secrets.token_urlsafe(48)}\n" for name in missing)
            _replace(path, old + ("" if not old or old.endswith("\n") else "\n") + lines)
    return missing


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Two first starts would each make secrets, and the processes of one would not know the other's."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _replace(path: Path, text: str) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    partial = path.with_name(".env.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
