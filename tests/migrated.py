"""Servers that begin with all tables: a run of the tests makes the tables once, and copies files from then on."""

import os
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from launcher.locks import FileLock
from launcher.postgres import EmbeddedPostgres

MIGRATED = "CHATSPHERE_MIGRATED_CLUSTER"  # where the run keeps the cluster that the others are copies of


def start_migrated(postgres: EmbeddedPostgres, migrate: Callable[[], Any]) -> None:
    """`migrate` is called where nothing can be copied: for the first server of a run, and outside of one."""
    kept = os.environ.get(MIGRATED)
    with FileLock(Path(f"{kept}.lock")).held() if kept else nullcontext():
        if kept and Path(kept).exists():
            _copy(Path(kept), postgres.cluster)
        else:
            postgres.start()
            postgres.create_database()
            migrate()
            if kept:
                postgres.stop()
                _copy(postgres.cluster, Path(f"{kept}.new"))
                Path(f"{kept}.new").rename(kept)  # a copy that was interrupted is never taken for one
    if not postgres.alive():
        postgres.start()


def _copy(cluster: Path, to: Path) -> None:
    """With its owner and rights, which PostgreSQL insists on."""
    subprocess.run(["cp", "-a", cluster, to], check=True)
