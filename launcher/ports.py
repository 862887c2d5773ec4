"""Whether a port is free, and who has it when it is not."""

import errno
import socket
from pathlib import Path

from launcher.errors import LauncherError

_LISTEN = "0A"


def require_free(port: int, setting: str | None = None, host: str = "127.0.0.1") -> None:
    """`setting`: the variable that chooses another port, told where it is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise LauncherError(_why(error, port, setting)) from error


def _why(error: OSError, port: int, setting: str | None) -> str:
    other = f", or choose another: make run {setting}={port + 1000}" if setting else ""
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use{holder(port)}; stop that{other}"
    return f"Port {port} cannot be used: {error.strerror}{other}"


def holder(port: int) -> str:
    """` by NAME (pid N)` where the kernel tells us, else nothing."""
    inodes = _listening_inodes(port)
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(link.readlink())
        except OSError:  # gone, or another user's
            continue
        if target.startswith("socket:[") and target[8:-1] in inodes:
            pid = link.parts[2]
            return f" by {_name(pid)} (pid {pid})"
    return ""


def _name(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a program"


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        rows = table.read_text().splitlines()[1:] if table.exists() else []
        for fields in map(str.split, rows):
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes
