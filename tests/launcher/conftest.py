"""Folders that the server's account may enter: pytest's own are private, which is a test of its own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.postgres import EmbeddedPostgres


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="chatsphere-launcher-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree((folder / "postgres").resolve(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def made_once() -> Iterator[Path]:
    """An empty cluster: copying one is quicker than making one."""
    with tempfile.TemporaryDirectory(prefix="chatsphere-launcher-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder), fsync=False)
        server.start()
        server.stop()
        yield server.cluster


@pytest.fixture
def seeded(data_dir: Path, made_once: Path) -> Path:
    """A data folder that has been used before."""
    home = EmbeddedPostgres(data_dir).home
    subprocess.run(["cp", "-a", made_once, home], check=True)
    return data_dir


@pytest.fixture
def cluster(seeded: Path) -> Iterator[Callable[[], EmbeddedPostgres]]:
    """Makes servers on one data folder; what still runs at the end is stopped."""
    made: list[EmbeddedPostgres] = []

    def make() -> EmbeddedPostgres:
        made.append(EmbeddedPostgres(seeded, max_connections=20, fsync=False))
        return made[-1]

    yield make
    for server in made:
        if server.alive():
            server.stop()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a server as somebody else")
