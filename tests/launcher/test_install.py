"""The locks here hold nothing: what pip does is pip's."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from launcher.install import _usable, install

ROOT = Path(__file__).resolve().parents[2]


def test_a_venv_is_made_once_and_again_only_when_it_has_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock, venv = tmp_path / "run.txt", tmp_path / "project" / ".venv"
    lock.write_text("# nothing\n")
    install(lock, venv)
    assert "Installed in" in capsys.readouterr().out
    begun = time.monotonic()
    install(lock, venv)
    assert time.monotonic() - begun < 0.1
    assert capsys.readouterr().out == ""
    (venv / "kept").write_text("")

    lock.write_text("# changed\n")
    install(lock, venv)
    assert "Installed in" in capsys.readouterr().out
    assert (venv / "kept").exists()

    lock.write_text("no-hash==1\n")
    with pytest.raises(SystemExit, match=r"error: the packages of requirements/run.txt could not be installed"):
        install(lock, venv)

    lock.write_text("# good again, but what is installed now is unknown\n")
    install(lock, venv)
    assert "anew" in capsys.readouterr().out
    assert not (venv / "kept").exists()

    assert _usable(venv)
    assert not _usable(venv.parent.rename(tmp_path / "moved") / ".venv")


@pytest.mark.parametrize("venv", ["/proc/venv", "/dev/null/venv"])
def test_a_folder_that_cannot_be_written_is_one_line(venv: str) -> None:
    command = [sys.executable, str(ROOT / "launcher" / "install.py"), "run", "--venv", venv]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def choose(bin_dir: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = ["/bin/sh", str(ROOT / "launcher" / "python.sh")]
    return subprocess.run(command, env={"PATH": str(bin_dir), **variables}, capture_output=True, text=True, check=False)


def python_of(bin_dir: Path, name: str, version: str) -> None:
    """An interpreter that says it is `version`: the check is a one-liner for which 0 means fit."""
    bin_dir.mkdir(exist_ok=True)
    fit = version.split(".")[:2] in (["3", "11"], ["3", "12"], ["3", "13"])
    answers = f'[ "$1" = --version ] && echo Python {version} && exit\nexit {int(not fit)}'
    (bin_dir / name).write_text(f"#!/bin/sh\n{answers}\n")
    (bin_dir / name).chmod(0o755)


def test_the_python_is_found_under_other_names(tmp_path: Path) -> None:
    python_of(tmp_path / "bin", "python3", "3.9.2")
    python_of(tmp_path / "bin", "python3.12", "3.12.1")
    assert choose(tmp_path / "bin").stdout == "python3.12\n"
    python_of(tmp_path / "bin", "mine", "3.11.0")
    assert choose(tmp_path / "bin", PYTHON="mine").stdout == "mine\n"


def test_a_python_too_old_is_one_line_that_names_it(tmp_path: Path) -> None:
    python_of(tmp_path / "bin", "python3", "3.9.2")
    done = choose(tmp_path / "bin")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ChatSphere needs Python 3.11, 3.12 or 3.13; found: Python 3.9.2.")


def start(procfile: Path, *entries: str) -> "subprocess.Popen[str]":
    command = ["sh", str(ROOT / "launcher" / "start"), *entries]
    return subprocess.Popen(
        command, env={"PROCFILE": str(procfile)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_entries_of_a_procfile_run_one_after_the_other_and_the_last_in_place(tmp_path: Path) -> None:
    procfile = tmp_path / "Procfile"
    in_place = f"{sys.executable} -c 'import os; print(os.getpid())'"
    procfile.write_text(f"release: echo ${{WHAT:-migrated}}\nweb: {in_place}\n")
    with start(procfile, "release", "web") as done:
        assert done.stdout
        assert done.stdout.read() == f"migrated\n{done.pid}\n"


@pytest.mark.parametrize("words", [["release", "web"], ["nothing"], []])
def test_what_cannot_be_started_fails(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "Procfile").write_text("release: false\nweb: echo never\n")
    with start(tmp_path / "Procfile", *words) as done:
        assert done.stdout
        assert "never" not in done.stdout.read()
    assert done.returncode != 0
