"""Whose account the embedded PostgreSQL runs as, and what that account may touch."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from launcher.errors import LauncherError

Command: TypeAlias = list[str | Path]
_SERVER_ENVIRONMENT = {
    "PATH": os.defpath,
    "LC_ALL": "C.UTF-8",
}  # nothing of ours: secrets stay out of the server's environment


@dataclass(frozen=True, slots=True)
class Owner:
    """Who runs the server: ourselves, or, since PostgreSQL refuses to run as root, an unprivileged account."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"uid {self.uid}"

    def popen(self, command: Command, **options: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd="/", env=_SERVER_ENVIRONMENT, **self._account(), **options)  # type: ignore[call-overload, no-any-return]

    def run(self, command: Command) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            command, cwd="/", env=_SERVER_ENVIRONMENT, capture_output=True, text=True, check=False, **self._account()
        )

    def can_run(self, command: Command) -> bool:
        try:
            return self.run(command).returncode == 0
        except OSError:
            return False

    def _account(self) -> dict[str, object]:
        if os.geteuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may_enter(self, path: Path) -> bool:
        """Whether every folder above `path` lets this account through."""
        return all(_passable(parent.stat(), self) for parent in path.resolve().parents)

    def own(self, folder: Path) -> None:
        """Hand `folder` to this account and close it to everyone else."""
        if os.geteuid() == 0:
            os.chown(folder, self.uid, self.gid)
        folder.chmod(0o700)


def _passable(status: os.stat_result, owner: Owner) -> bool:
    bit = 0o100 if status.st_uid == owner.uid else 0o010 if status.st_gid == owner.gid else 0o001
    return bool(status.st_mode & bit)


def server_owner(cluster: Path) -> Owner:
    """Root takes whoever the cluster belongs to, so that a new account on the machine does not change the server's."""
    if os.geteuid() != 0:
        return Owner(os.geteuid(), os.getegid())
    if cluster.exists() and (status := cluster.stat()).st_uid != 0:
        return Owner(status.st_uid, status.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(entry.pw_uid, entry.pw_gid)
    raise LauncherError(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` to run it as"
    )
