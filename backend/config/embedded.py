"""Where the embedded PostgreSQL listens; the launcher starts it there, the settings look for it there."""

import hashlib
from pathlib import Path
from urllib.parse import quote

SOCKET_PORT = 55440
_SOCKET_PATH_LIMIT = 107 - len("/.s.PGSQL.55440")


def socket_dir(data_dir: Path) -> Path:
    """A folder whose socket path fits into the 107 bytes that Unix allows."""
    beside = data_dir.resolve() / "postgres" / "run"
    if len(str(beside).encode()) <= _SOCKET_PATH_LIMIT:
        return beside
    return Path("/tmp") / f"chatsphere-{hashlib.sha256(str(beside).encode()).hexdigest()[:16]}"  # noqa: S108 - the path must be short


def embedded_database_url(data_dir: Path, name: str = "chatsphere") -> str:
    return f"postgres://postgres@{quote(str(socket_dir(data_dir)), safe='')}:{SOCKET_PORT}/{name}"
