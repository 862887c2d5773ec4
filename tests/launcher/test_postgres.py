import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from launcher import postgres
from launcher.errors import PostgresError
from launcher.owner import Owner
from launcher.postgres import EmbeddedPostgres
from tests.launcher.conftest import needs_root

Make = Callable[[], EmbeddedPostgres]


def query(server: EmbeddedPostgres, statement: str, database: str = "postgres") -> object:
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


def test_starts_with_pgvector_and_keeps_its_data(cluster: Make) -> None:
    server = cluster()
    server.start()
    server.create_database()
    server.create_database()
    query(server, "CREATE EXTENSION vector", "chatsphere")
    query(server, "CREATE TABLE kept AS SELECT '[1,2]'::vector AS v", "chatsphere")
    server.stop()
    assert not server.answers()
    server.start()
    assert query(server, "SELECT v::text FROM kept", "chatsphere") == "[1,2]"


def test_a_killed_server_starts_again_at_once_with_what_it_had_acknowledged(cluster: Make) -> None:
    server = cluster()
    server.fsync = True
    server.start()
    query(server, "CREATE TABLE kept AS SELECT 7 AS n")
    client = psycopg.connect(server.url("postgres"))
    slow = client.info.backend_pid
    os.kill(slow, signal.SIGSTOP)  # it holds the dead server's memory for a while
    server.stop(signal.SIGKILL)
    threading.Timer(0.5, os.kill, (slow, signal.SIGCONT)).start()
    server.start()
    client.close()
    assert query(server, "SELECT n FROM kept") == 7


def test_recovery_is_told_and_waited_for(cluster: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    server = cluster()
    server.start()
    answers = iter([1, 1, 0])
    monkeypatch.setattr(postgres, "TELL_SECONDS", 0)
    monkeypatch.setattr(server, "_ask", lambda: next(answers))
    told: list[str] = []
    server._wait_until_up(0, told.append)
    assert told == ["the database recovers after a crash; this may take a while"]


def test_an_interrupted_initdb_is_thrown_away(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, fsync=False)
    half = server.home / "cluster.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    server.start()
    try:
        assert query(server, "SELECT 1") == 1
        assert not half.exists()
    finally:
        server.stop()


def test_a_folder_that_is_no_cluster_is_left_alone(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, fsync=False)
    server.cluster.mkdir()
    (server.cluster / "somebody's").write_text("work")
    with pytest.raises(PostgresError, match="not a readable database folder"):
        server.start()
    assert (server.cluster / "somebody's").exists()


def test_data_of_another_major_version_is_refused(cluster: Make) -> None:
    server = cluster()
    server.start()
    server.stop()
    (server.cluster / "PG_VERSION").write_text("17\n")
    with pytest.raises(PostgresError, match="made by PostgreSQL 17, this is 18"):
        cluster().start()


@pytest.mark.parametrize("content", ["{pid}\n/elsewhere\n", "", "garbage"])
def test_a_stale_pid_file_is_no_predecessor_even_when_the_pid_lives(cluster: Make, content: str) -> None:
    server = cluster()
    server.start()
    server.stop()
    (server.cluster / "postmaster.pid").write_text(content.format(pid=os.getpid()))
    server.start()
    assert query(server, "SELECT 1") == 1


def test_a_second_server_on_the_same_cluster_is_refused(cluster: Make) -> None:
    first = cluster()
    first.start()
    with pytest.raises(PostgresError, match=f"pid {first.pid}"):
        cluster().start()
    assert query(first, "SELECT 1") == 1


def test_why_it_did_not_start_is_told_in_one_line(cluster: Make) -> None:
    server = cluster()
    server.start()
    server.stop()
    with (server.cluster / "postgresql.conf").open("a") as conf:
        conf.write("work_mem = 'much'\n")
    with pytest.raises(PostgresError, match="work_mem") as told:
        server.start()
    assert "\n" not in str(told.value)


def test_a_server_that_never_answers_is_stopped(cluster: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "START_SECONDS", 0.2)
    server = cluster()
    monkeypatch.setattr(server, "_ask", lambda: 2)
    with pytest.raises(PostgresError, match="did not answer"):
        server.start()
    assert not server.alive()


def test_people_s_data_stays_out_of_the_log(cluster: Make) -> None:
    server = cluster()
    server.start()
    query(server, "CREATE TABLE people (email text UNIQUE)")
    query(server, "INSERT INTO people VALUES ('canary@example.com')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        query(server, "INSERT INTO people VALUES ('canary@example.com')")
    log = server.log.read_text()
    assert "duplicate key" in log
    assert "canary" not in log


def test_the_log_does_not_grow_for_ever(cluster: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "LOG_LIMIT_BYTES", 10)
    server = cluster()
    server.start()
    server.trim_log()
    assert server.log.stat().st_size == 0
    assert "ready to accept connections" in server.log.with_suffix(".log.1").read_text()


def test_the_server_ends_with_the_process_that_started_it(data_dir: Path) -> None:
    script = (
        "import pathlib, sys, time; from launcher.postgres import EmbeddedPostgres\n"
        "s = EmbeddedPostgres(pathlib.Path(sys.argv[1]), fsync=False); s.start()\n"
        "print(s.pid, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", script, data_dir], stdout=subprocess.PIPE, text=True)
    with starter.stdout as out:  # type: ignore[union-attr]
        pid = int(out.readline())
    starter.kill()
    starter.wait()
    assert gone(pid)


def gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_a_long_path_gets_a_short_socket(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir / ("long" * 25), fsync=False)
    server.start()
    try:
        assert len(str(server.socket_dir)) < 60
        assert query(server, "SELECT 1") == 1
    finally:
        server.stop()
        shutil.rmtree(server.socket_dir)


def test_a_socket_folder_that_somebody_else_made_first_is_refused(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir / ("long" * 25), fsync=False)
    server.socket_dir.symlink_to(data_dir)
    try:
        with pytest.raises(PostgresError, match="another account"):
            server.start()
    finally:
        server.socket_dir.unlink()


def test_files_and_socket_are_for_the_server_s_account_only(cluster: Make) -> None:
    server = cluster()
    server.start()
    for folder in (server.home, server.cluster, server.socket_dir):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", 55440))


def test_loosened_permissions_are_tightened_again(cluster: Make) -> None:
    server = cluster()
    server.start()
    server.stop()
    server.cluster.chmod(0o755)
    server.start()
    assert stat.S_IMODE(server.cluster.stat().st_mode) == 0o700


@needs_root
def test_root_in_a_private_folder_keeps_the_server_in_var_lib_and_a_link(data_dir: Path) -> None:
    private = data_dir / "private"
    private.mkdir(mode=0o700)
    server = EmbeddedPostgres(private / "data", fsync=False)
    server.start()
    try:
        assert query(server, "SELECT 1") == 1
        assert server.home.parent == Path("/var/lib")
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        moved = private.rename(data_dir / "moved")
        assert EmbeddedPostgres(moved / "data").home == server.home
    finally:
        server.stop()
        shutil.rmtree(server.home)
    with pytest.raises(PostgresError, match="which is gone"):
        EmbeddedPostgres(moved / "data")


@needs_root
def test_a_folder_made_private_later_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as open_folder:
        Path(open_folder).chmod(0o755)
        server = EmbeddedPostgres(Path(open_folder) / "data", fsync=False)
        server.start()
        server.stop()
        Path(open_folder).chmod(0o700)
        with pytest.raises(PostgresError, match="may not enter"):
            EmbeddedPostgres(Path(open_folder) / "data")


@needs_root
def test_binaries_that_the_account_cannot_run_are_copied(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Owner, "may_enter", lambda self, path: "site-packages" not in path.parts)
    server = EmbeddedPostgres(data_dir, fsync=False)
    left = server.home / "binaries-0.0.1"
    left.mkdir()
    server.start()
    try:
        assert query(server, "SELECT 1") == 1
        assert Path(f"/proc/{server.pid}/exe").readlink().is_relative_to(server.home)
        assert not left.exists()
    finally:
        server.stop()


@needs_root
def test_the_server_keeps_the_account_its_files_belong_to(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir, fsync=False)
    server.start()
    server.stop()
    for path in [server.home, *server.home.rglob("*")]:
        os.chown(path, 65534, 65534)
    again = EmbeddedPostgres(data_dir, fsync=False)
    again.start()
    try:
        assert Path(f"/proc/{again.pid}").stat().st_uid == 65534
    finally:
        again.stop()
    os.chown(again.cluster, 0, 0)
    with pytest.raises(PostgresError, match="belongs to root"):
        EmbeddedPostgres(data_dir).start()
