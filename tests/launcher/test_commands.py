import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.launcher.test_run import ROOT, settings_of


def launcher(data_dir: Path, *words: str, **options: object) -> "subprocess.CompletedProcess[str]":
    variables = settings_of(data_dir, (8000, 8001)) | dict(options.pop("variables", {}))  # type: ignore[call-overload]
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "launcher", *words], cwd=ROOT, env=variables, capture_output=True, text=True, **options
    )


def test_exec_has_the_database_up_and_returns_the_command_s_status(data_dir: Path) -> None:
    done = launcher(data_dir, "exec", "--", "sh", "-c", 'psql -XAtc "SELECT 6 * 7" "$DATABASE_URL"; exit 3')
    assert (done.stdout, done.stderr, done.returncode) == ("42\n", "", 3)


def test_exec_has_the_server_s_own_tools(data_dir: Path) -> None:
    done = launcher(data_dir, "exec", "--", "sh", "-c", 'pg_dump --schema-only "$DATABASE_URL"')
    assert "-- Dumped by pg_dump version 18" in done.stdout


def test_exec_with_a_database_of_its_own_starts_none(data_dir: Path) -> None:
    given = {"DATABASE_URL": "postgres://elsewhere/real"}
    done = launcher(data_dir, "exec", "--", "sh", "-c", 'echo "$DATABASE_URL"; kill -9 $$', variables=given)
    assert (done.stdout, done.returncode) == ("postgres://elsewhere/real\n", 128 + 9)
    assert not (data_dir / "postgres").exists()


def test_exec_passes_sigterm_on_and_waits(data_dir: Path) -> None:
    script = "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); signal.pause()"
    variables = settings_of(data_dir, (8000, 8001)) | {"DATABASE_URL": "postgres://elsewhere/real"}
    command = [sys.executable, "-m", "launcher", "exec", "--", sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 7


def test_exec_of_what_is_not_there_is_one_line(data_dir: Path) -> None:
    done = launcher(data_dir, "exec", "--", "no-such-program", variables={"DATABASE_URL": "postgres://x/y"})
    assert done.returncode != 0
    assert "no-such-program" in done.stderr
    assert "Traceback" not in done.stderr


def test_env_can_be_evaluated_by_a_shell(data_dir: Path) -> None:
    shown = launcher(data_dir, "env").stdout
    script = f'{shown}\necho "$BIND"; psql -XAtc "SELECT 1" "$DATABASE_URL" 2>&1 | grep -o "No such file"'
    done = subprocess.run(["sh", "-c", script], env={}, capture_output=True, text=True, check=True)
    assert done.stdout == "127.0.0.1\nNo such file\n"


def test_a_setting_that_makes_no_sense_is_one_line(data_dir: Path) -> None:
    done = launcher(data_dir, "run", variables={"PORT": "eight"})
    assert (done.returncode, done.stderr) == (1, "error: PORT is 'eight' and must be a number from 1 to 65535\n")


def test_a_port_in_use_is_one_line_that_names_who_has_it(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = launcher(data_dir, "run", variables={"PORT": str(port)})
    assert done.returncode == 1
    assert f"error: Port {port} is in use by " in done.stderr
    assert f"(pid {os.getpid()}); stop that, or choose another: make run PORT=" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_one_line(data_dir: Path) -> None:
    (data_dir / "file").write_text("")
    done = launcher(data_dir, "run", variables={"DATA_DIR": f"{data_dir}/file/data"})
    assert done.returncode == 1
    assert done.stderr == f"error: Not a directory: {data_dir}/file/data\n"


def test_make_admin_asks_on_a_terminal_twice(data_dir: Path) -> None:
    ours, theirs = pty.openpty()
    variables = settings_of(data_dir, (8000, 8001)) | {"DATABASE_URL": "postgres://x/y"}
    process = subprocess.Popen(
        [sys.executable, "-m", "launcher", "admin"], cwd=ROOT, env=variables, start_new_session=True,
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    for question, answer in ((b"administrator: ", b"admin@example.com"), (b"Password: ", b"one"), (b"Again: ", b"two")):
        while question not in seen:
            seen += os.read(ours, 1024)
        os.write(ours, answer + b"\n")
    assert process.wait(10) == 1
    assert b"The two passwords differ" in os.read(ours, 1024)
    os.close(ours)


def test_make_admin_is_enough_on_a_fresh_machine(data_dir: Path) -> None:
    done = launcher(data_dir, "admin", "--email", "admin@example.com", input="correct horse battery\n")
    assert (done.stdout, done.stderr, done.returncode) == ("admin@example.com is now an admin.\n", "", 0)
