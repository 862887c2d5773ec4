import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from backend.config.embedded import embedded_database_url
from launcher import environment
from launcher.run import EMULATED, services
from tests.launcher.test_postgres import gone

ROOT = Path(__file__).resolve().parents[2]
PROCFILE = """\
release: psql -Xq -c "CREATE TABLE IF NOT EXISTS starts (n int)" -c "INSERT INTO starts VALUES (1)" $DATABASE_URL
web: python -m http.server --directory {www} --bind $BIND $PORT
agent: python -m http.server --directory {www} --bind $BIND $AGENT_PORT
worker: python -c 'import os, time; print("works", os.getpid(), flush=True); time.sleep(99)'
"""


class Launched:
    """`python -m launcher run` over a Procfile of small programs."""

    def __init__(self, data_dir: Path, ports: tuple[int, int], procfile: str = PROCFILE) -> None:
        www = data_dir / "www"
        www.mkdir(exist_ok=True)
        (www / "readyz").write_text("ok")
        (data_dir / "Procfile").write_text(procfile.format(www=www))
        self.data_dir = data_dir
        self.variables = settings_of(data_dir, ports)
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "launcher", "run"], cwd=ROOT, env=self.variables, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with self.process.stdout as out:  # type: ignore[union-attr]
            self.lines.extend(iter(out.readline, ""))

    def said(self, pattern: str) -> list[str]:
        return re.findall(pattern, "".join(self.lines))

    def until(self, condition: Callable[[], object], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "".join(self.lines)
            time.sleep(0.02)

    def ready(self) -> None:
        self.until(lambda: self.said("is ready after"))

    def ended(self) -> int:
        status = self.process.wait(30)
        self._reader.join()
        return status

    def session(self) -> list[int]:
        """The worker and the database's first process."""
        return [int(pid) for pid in self.said(r"works (\d+)")] + postmasters(self.data_dir)


def settings_of(data_dir: Path, ports: tuple[int, int]) -> dict[str, str]:
    secrets = dict.fromkeys(environment.SECRETS, "a secret that only this test knows, long enough")
    ours = {
        "DATA_DIR": str(data_dir),
        "PORT": str(ports[0]),
        "AGENT_PORT": str(ports[1]),
        "PROCFILE": f"{data_dir}/Procfile",
    }
    return {**{name: value for name, value in os.environ.items() if "DATABASE" not in name}, **secrets, **ours}


def postmasters(data_dir: Path) -> list[int]:
    with contextlib.suppress(OSError):
        return [int((data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])]
    return []


def starts(data_dir: Path) -> int:
    with psycopg.connect(embedded_database_url(data_dir)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM starts").fetchone()  # type: ignore[misc]
        return int(count)


@pytest.fixture
def ports(unused_tcp_port_factory: Callable[[], int]) -> tuple[int, int]:
    return unused_tcp_port_factory(), unused_tcp_port_factory()


@pytest.fixture
def launch(seeded: Path, ports: tuple[int, int]) -> Iterator[Callable[..., Launched]]:
    made: list[Launched] = []
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the launcher stays when the terminal goes

    def start(**options: str) -> Launched:
        made.append(Launched(seeded, ports, **options))
        return made[-1]

    yield start
    for launched in made:
        if launched.process.poll() is None:
            launched.process.kill()
        launched.ended()
    signal.signal(signal.SIGHUP, inherited)


def test_from_start_to_ctrl_c_and_again(launch: Callable[[], Launched], data_dir: Path, ports: tuple[int, int]) -> None:
    first = launch()
    first.ready()
    assert urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/readyz").read() == b"ok"
    pids = first.session()
    assert len(pids) == 2
    first.process.send_signal(signal.SIGINT)
    assert first.ended() == 0
    assert first.lines[-1] == "Stopped; the data is kept\n"
    assert all(gone(pid, 0.5) for pid in pids)
    second = launch()
    second.ready()
    assert starts(data_dir) == 2


def test_a_second_one_in_the_same_folder_is_refused_and_names_the_first(launch: Callable[[], Launched]) -> None:
    first = launch()
    first.ready()
    second = launch()
    assert second.ended() == 1
    assert re.fullmatch(rf"error: ChatSphere runs here already \(pid {first.process.pid}, .*\n", "".join(second.lines))


def test_a_killed_launcher_leaves_nothing_behind(launch: Callable[[], Launched]) -> None:
    launched = launch()
    launched.ready()
    pids = launched.session()
    launched.process.kill()
    launched.ended()
    assert all(gone(pid) for pid in pids)


def test_a_killed_database_comes_back(launch: Callable[[], Launched], data_dir: Path) -> None:
    launched = launch()
    launched.ready()
    os.kill(postmasters(data_dir)[0], signal.SIGKILL)
    launched.until(lambda: launched.said(r"postgres +\| ended; starts again"))
    launched.until(lambda: _answers(data_dir))
    launched.process.send_signal(signal.SIGTERM)
    assert launched.ended() == 0


def _answers(data_dir: Path) -> bool:
    try:
        return starts(data_dir) == 1
    except psycopg.OperationalError:
        return False


def test_a_failed_migration_ends_it_with_one_line(launch: Callable[..., Launched], data_dir: Path) -> None:
    launched = launch(procfile="release: sh -c 'echo the reason; exit 3'\n")
    assert launched.ended() == 1
    assert launched.said(r"release +\| the reason")
    assert launched.lines[-1] == "error: release failed (exit status 3); its lines above say why\n"
    assert not postmasters(data_dir)


def test_a_terminal_that_is_gone_ends_it_too(launch: Callable[[], Launched]) -> None:
    launched = launch()
    launched.until(lambda: launched.said("works"))
    launched.process.send_signal(signal.SIGHUP)
    assert launched.ended() == 0


def test_emulators_come_first_and_the_others_are_pointed_at_them(tmp_path: Path) -> None:
    given = {"DATABASE_URL": "postgres://elsewhere/real", "GOOGLE_API_KEY": "a real key", "STORAGE_DIR": "/real"}
    env = environment.read(root=tmp_path, given=given, emulated=EMULATED)
    started = services(env, emulators=True)
    assert min(started, key=lambda service: service.stage).name == "emulators"
    assert env.data_dir == tmp_path / ".data" / "emulated"
    assert env.variables["DATABASE_URL"] == embedded_database_url(env.data_dir)
    assert env.variables["STORAGE_DIR"] == str(env.data_dir / "files")
    assert env.variables.items() >= EMULATED.items()
