"""R1: the balance is the sum of the entries, always, whoever is killed while it moves."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from launcher.errors import PostgresError
from launcher.postgres import EmbeddedPostgres
from tests.migrated import start_migrated

ROOT = Path(__file__).parents[2]
ACCOUNTS = 5
RESTART_TRIES = 50

MAKE_ACCOUNTS = f"""
import django; django.setup()
from backend.credits import services
from backend.users.models import User
for number in range({ACCOUNTS}):
    services.account_for(User.objects.create(email=f"user{{number}}@example.com"))
"""


@dataclass
class Scene:
    """A database server of the test's own, that writes through to disk, and processes that work on it."""

    server: EmbeddedPostgres
    folder: Path
    seed: int
    threads: int
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    started: int = 0

    @property
    def environment(self) -> dict[str, str]:
        settings = {"DATABASE_URL": self.server.url(), "DATA_DIR": str(self.folder), "SIGNUP_GRANT": "1000"}
        return {**os.environ, **settings, "DJANGO_SETTINGS_MODULE": "backend.config.settings"}

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)

    def start_worker(self) -> None:
        log = self.folder / f"log-{self.started}"
        arguments = ["-m", "tests.promises.ledger_load", str(log), f"{self.seed}.{self.started}", str(self.threads)]
        with (self.folder / "stderr").open("ab") as stderr:
            worker = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=self.environment, stderr=stderr)
        self.workers.append(worker)
        self.started += 1

    def kill_worker(self, rng: random.Random) -> None:
        worker = self.workers.pop(rng.randrange(len(self.workers)))
        assert worker.poll() is None, (self.folder / "stderr").read_text()[-3000:]
        worker.kill()
        worker.wait()
        self.start_worker()

    def stop_workers(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()

    def crash_server(self, how: signal.Signals) -> None:
        self.server.stop(how)
        for _ in range(RESTART_TRIES):
            try:
                self.server.start()
            except PostgresError:  # the crashed server's last children still hold its shared memory
                time.sleep(0.1)
            else:
                return
        pytest.fail("the server did not come back")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for log in self.folder.glob("log-*") for line in log.read_text().splitlines()]

    def work_until(self, acts: int, *, deadline: float) -> None:
        while sum(line["what"] != "try" for line in self.lines()) < acts:
            assert time.monotonic() < deadline, (self.folder / "stderr").read_text()[-3000:]
            time.sleep(0.05)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="chatsphere-r1-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        scene = Scene(EmbeddedPostgres(folder), folder, seed=random.randrange(10**6), threads=4)
        try:
            start_migrated(scene.server, lambda: succeed(scene, "manage.py", "migrate", "--verbosity=0"))
            succeed(scene, "-c", MAKE_ACCOUNTS)
            yield scene
        finally:
            scene.stop_workers()
            scene.server.stop(signal.SIGINT)


def succeed(scene: Scene, *arguments: str) -> None:
    done = scene.python(*arguments)
    assert done.returncode == 0, done.stderr


def play(scene: Scene, *, processes: int, acts: int, kills: int, crashes: list[signal.Signals], seconds: int) -> None:
    rng = random.Random(scene.seed)
    events: list[signal.Signals | None] = [*crashes, *[None] * kills]
    rng.shuffle(events)
    deadline = time.monotonic() + seconds
    for _ in range(processes):
        scene.start_worker()
    for number, crash in enumerate(events, start=1):
        scene.work_until(acts * number // (len(events) + 1), deadline=deadline)
        scene.crash_server(crash) if crash else scene.kill_worker(rng)
    scene.work_until(acts, deadline=deadline)
    scene.stop_workers()


STORED = "SELECT id::text, kind, account_id::text, coalesce(key, reference::text), amount FROM credits_entry"


def act_of(line: dict[str, Any]) -> tuple[str, str, str]:
    return line["verb"], line["account"], line["ident"]


def check(scene: Scene) -> dict[str, int]:
    audit = scene.python("manage.py", "ledger_audit", "--json")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    lines = scene.lines()
    with psycopg.connect(scene.server.url()) as database:
        rows = database.execute(
            "SELECT id::text, kind, account_id::text, coalesce(key, reference::text), amount FROM credits_entry"
        ).fetchall()
    stored = {row[0]: row[1:] for row in rows if row[1] != "grant"}
    acked = {
        line["entry"]: (line["verb"], line["account"], line["ident"], line["amount"])
        for line in lines
        if line["what"] == "ack"
    }
    tried = {act_of(line) for line in lines}
    effects = Counter(row[:3] for row in stored.values())
    lost = {entry for entry, said in acked.items() if stored.get(entry) != said}
    assert lost == set()
    assert [effect for effect, times in effects.items() if times > 1] == []
    assert effects.keys() <= tried
    whats = Counter(line["what"] for line in lines)
    return {**whats, "entries": len(stored), "acked entries": len(acked), "lost": len(lost), "workers": scene.started}


@pytest.mark.timeout(120)
def test_no_act_is_lost_or_doubled_by_a_few_crashes(scene: Scene) -> None:
    play(scene, processes=2, acts=600, kills=3, crashes=[signal.SIGKILL], seconds=60)
    print(f"\nR1 seed {scene.seed}: {check(scene)}")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_act_is_lost_or_doubled_by_many_crashes(scene: Scene) -> None:
    crashes = [signal.SIGKILL, signal.SIGKILL, signal.SIGQUIT, signal.SIGQUIT]
    play(scene, processes=4, acts=10_000, kills=20, crashes=crashes, seconds=800)
    print(f"\nR1 seed {scene.seed}: {check(scene)}")
