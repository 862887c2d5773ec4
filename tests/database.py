"""One embedded PostgreSQL for the whole run; pytest-django makes a database per xdist worker on it.

A plugin and not a conftest, because Django's settings are read before any conftest is. For the same reason it keeps a
developer's `.env` out: the tests see the development values of `.env.example`.
"""

import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from dotenv import dotenv_values

from launcher.locks import FileLock
from launcher.postgres import EmbeddedPostgres
from tests.migrated import MIGRATED

_ROOT = Path(__file__).resolve().parents[1]
_PREFIX = "chatsphere-test-"
_server = pytest.StashKey[EmbeddedPostgres]()
_data = pytest.StashKey[Path]()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    if "PYTEST_XDIST_WORKER" not in os.environ:  # workers inherit what is set here
        _forget_dotenv()
        _remove_leftovers()
        data = early_config.stash[_data] = _data_dir()
        os.environ["DATA_DIR"] = str(data)
        os.environ[MIGRATED] = str(data / "migrated")
        if not os.environ.get("DATABASE_URL"):
            server = EmbeddedPostgres(data, max_connections=400, fsync=False)
            server.start()
            early_config.stash[_server] = server
            os.environ["DATABASE_URL"] = server.url("chatsphere")
    else:  # a database of its own, so files of its own
        os.environ["STORAGE_DIR"] = f"{os.environ['DATA_DIR']}/files-{os.environ['PYTEST_XDIST_WORKER']}"
    return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    if (server := config.stash.get(_server, None)) is not None:
        server.stop()
    if (data := config.stash.get(_data, None)) is not None:
        _remove(data)


def _forget_dotenv() -> None:
    example = dotenv_values(_ROOT / ".env.example", interpolate=False)
    for name in dotenv_values(_ROOT / ".env", interpolate=False):
        if name not in os.environ:
            os.environ[name] = example.get(name) or ""


def _data_dir() -> Path:
    data = Path(tempfile.mkdtemp(prefix=_PREFIX))
    data.chmod(0o755)  # as root, the server's own account must get in
    (data / "static").mkdir()  # WhiteNoise warns where it is missing, and a warning is an error here
    FileLock(data / "run.lock").take()
    return data


def _remove_leftovers() -> None:
    """Of runs that were killed: their kernel lock is gone."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/run.lock"):
        if os.access(lock, os.W_OK) and FileLock(lock).try_take():
            _remove(lock.parent)


def _remove(data: Path) -> None:
    shutil.rmtree((data / "postgres").resolve(), ignore_errors=True)
    shutil.rmtree(data, ignore_errors=True)
