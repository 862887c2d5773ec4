"""Install one lock of requirements/ into a virtual environment: `python launcher/install.py run [--venv .venv]`.

Needs nothing but Python, for it makes the place where everything else is found. Done already, seen by a stamp with
the lock's hash: returns at once. Interrupted: the environment is made anew, for pip takes a half-copied package for an
installed one.
"""

import argparse
import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def install(lock: Path, venv: Path) -> None:
    stamp, unfinished = venv / f".{lock.stem}.installed", venv / ".unfinished"
    # The scripts inside name the folder, so that a moved environment is made anew.
    fingerprint = f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {venv}\n"
    if _read(stamp) == fingerprint and not unfinished.exists() and (venv / "bin" / "python").exists():
        return
    if unfinished.exists() or not _usable(venv):
        _create(venv)
    unfinished.write_text(f"{venv}\n")
    _pip(venv, lock)
    stamp.write_text(fingerprint)
    unfinished.unlink()


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _usable(venv: Path) -> bool:
    stamps = [_read(path) for path in venv.glob(".*.installed")]
    moved = any(not stamp.endswith(f" {venv}\n") for stamp in stamps)
    return (
        not moved and (venv / "bin" / "python").exists() and _runs([venv / "bin" / "python", "-m", "pip", "--version"])
    )


def _runs(command: "list[str | Path]") -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _create(venv: Path) -> None:
    if venv.exists():
        print(f"Making {venv.name} anew: it was unfinished, moved or broken", flush=True)
        shutil.rmtree(venv)
    if not _runs([sys.executable, "-m", "venv", venv]):
        shutil.rmtree(venv, ignore_errors=True)
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        sys.exit(f"error: {sys.executable} cannot make {venv}: is there space, and python{version}-venv installed?")


def _pip(venv: Path, lock: Path) -> None:
    print(f"Installing requirements/{lock.name} into {venv.name} (the first time this takes a minute) ...", flush=True)
    begun = time.monotonic()
    # A lock names all that is needed, and leaves out what a package only says that it needs (overrides.in).
    options = ["-qq", "--no-input", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    # Wheels only, so that no compiler is needed; pyaes (of Telethon) is plain Python and exists as source alone.
    options += ["--only-binary", ":all:", "--no-binary", "pyaes"]
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", *options, "-r", str(lock)]
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"error: the packages of requirements/{lock.name} could not be installed; the lines above say why")
    print(f"Installed in {time.monotonic() - begun:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lock", choices=sorted(path.stem for path in (ROOT / "requirements").glob("*.txt")))
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    arguments = parser.parse_args()
    try:
        with Path(__file__).open() as one_at_a_time:
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            install(ROOT / "requirements" / f"{arguments.lock}.txt", arguments.venv.absolute())
    except OSError as error:
        sys.exit(f"error: {error.strerror}: {error.filename}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
