import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from launcher.errors import PostgresError
from launcher.keeper import SharedPostgres, running
from launcher.locks import FileLock
from tests.launcher.test_postgres import gone


def test_the_server_is_up_for_all_users_and_down_after_the_last(seeded: Path) -> None:
    with running(seeded) as first:
        with running(seeded) as second:
            assert first.server.url() == second.server.url()
        assert first.kept()
        with psycopg.connect(first.server.url()) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("chatsphere",)
    assert not first.server.answers()
    assert not first.kept()


def test_users_that_start_at_once_get_one_server(seeded: Path) -> None:
    shared = [SharedPostgres(seeded) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(SharedPostgres.open, shared))
    try:
        assert len({one.server.running_pid() for one in shared}) == 1
        assert sum(one._keeper is not None for one in shared) == 1
    finally:
        for one in shared:
            one.close()
    assert not any(one.kept() for one in shared)
    assert not shared[0].server.answers()


def test_a_killed_user_leaves_nothing_behind(seeded: Path) -> None:
    script = (
        "import pathlib, sys, time; from launcher.keeper import running\n"
        "with running(pathlib.Path(sys.argv[1])) as s: print(s.server.running_pid(), flush=True); time.sleep(60)"
    )
    user = subprocess.Popen([sys.executable, "-c", script, seeded], stdout=subprocess.PIPE, text=True)
    with user.stdout as out:  # type: ignore[union-attr]
        pid = int(out.readline())
    user.kill()
    user.wait()
    assert gone(pid)


@pytest.mark.parametrize("victim", ["server", "keeper"])
def test_after_a_kill_the_next_look_brings_it_back_with_its_data(seeded: Path, victim: str) -> None:
    with running(seeded) as shared:
        with psycopg.connect(shared.server.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        server = shared.server.running_pid()
        assert server
        assert shared._keeper
        os.kill(server if victim == "server" else shared._keeper.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while shared.kept() and time.monotonic() < deadline:
            time.sleep(0.02)
        shared.ensure_up()
        with psycopg.connect(shared.server.url()) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
        assert shared.server.running_pid() != server


def test_what_stops_the_server_reaches_the_user(seeded: Path) -> None:
    with running(seeded) as shared:
        cluster = shared.server.cluster
    (cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(PostgresError, match="made by PostgreSQL 16"), running(seeded):
        pass
    assert not shared.kept()


def test_a_lock_is_shared_or_alone(tmp_path: Path) -> None:
    alone, one, two = (FileLock(tmp_path / "lock") for _ in range(3))
    with one.held(shared=True), two.held(shared=True):
        assert not alone.try_take()
    assert alone.try_take()
    assert not one.try_take(shared=True)
    alone.write("taken by me")
    assert one.read() == "taken by me"
