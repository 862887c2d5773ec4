"""The whole product as real processes on free ports: web, agent and worker beside a PostgreSQL of their own."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg

from launcher.postgres import EmbeddedPostgres
from tests.migrated import start_migrated
from tests.serving import PLAIN

ROOT = Path(__file__).resolve().parents[1]
START = ROOT / "launcher" / "start"
READY_SECONDS = 90.0
LISTENING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'"


class StackError(AssertionError):
    """A process did not come up, or what was waited for did not happen; the message has the end of its log."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stack:
    """`settings` are environment variables for all processes, beyond what a fresh `.env` would hold."""

    def __init__(self, folder: Path, settings: Mapping[str, str], *, fsync: bool = False) -> None:
        self.folder = folder
        self.postgres = EmbeddedPostgres(folder / "data", fsync=fsync)
        self.port, self.agent_port = free_port(), free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.people: list[Person] = []
        url = self.postgres.url()
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "HOME": os.environ.get("HOME", "/"),
            "DATABASE_URL": url,
            "AGENT_DATABASE_URL": url,
            "DATA_DIR": str(folder / "data"),
            "SECRET_KEY": secrets.token_urlsafe(48),
            "JWT_SIGNING_KEY": secrets.token_urlsafe(48),
            "SERVICE_KEY": secrets.token_urlsafe(48),
            "BIND": "127.0.0.1",
            "PORT": str(self.port),
            "AGENT_PORT": str(self.agent_port),
            "AGENT_URL": f"http://127.0.0.1:{self.agent_port}",
            "SITE_URL": self.url,
            "REGISTER_LIMIT_PER_ADDRESS_HOUR": "0",
            "LOGIN_LIMIT_PER_ADDRESS_MINUTE": "0",
            "CHAT_LIMIT_PER_MINUTE": "0",
            "PYTHONUNBUFFERED": "1",
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
            **settings,
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def agent_url(self) -> str:
        return f"http://127.0.0.1:{self.agent_port}"

    def start(self, *names: str) -> None:
        """Start the database and the named processes (by default all three), and wait until they answer."""
        start_migrated(self.postgres, lambda: self.command("migrate", "--verbosity", "0"))
        wanted = names or ("agent", "web", "worker")
        for name in wanted:
            self.launch(name)
        for name in wanted:
            self.wait_until_ready(name)

    def launch(self, name: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        with log:
            self.processes[name] = subprocess.Popen(
                ["sh", str(START), name],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self, name: str) -> None:
        probes = {"web": f"{self.url}/health", "agent": f"{self.agent_url}/readyz"}
        if name in probes:
            self.wait_for(lambda: _answers(probes[name]), f"{name} to answer", READY_SECONDS)

    def restart(self, name: str) -> None:
        self.launch(name)
        self.wait_until_ready(name)

    def restart_database(self) -> None:
        """Under the running processes. A worker ends over it, at once or only when its next periodic job is due, and
        whatever runs the product starts it again: here both happen now, so that what comes next finds one that works.
        """
        self.postgres.stop()
        self.postgres.start()
        if worker := self.processes.pop("worker", None):
            self._stop(worker)
            self.launch("worker")
            self.wait_for(self._worker_listens, "the worker to be back", READY_SECONDS)

    def _worker_listens(self) -> bool:
        with psycopg.connect(self.postgres.url(), connect_timeout=5) as connection:
            return connection.execute(LISTENING).fetchone() != (0,)

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """The whole process group, as when a machine's out-of-memory killer or an operator does it."""
        process = self.processes.pop(name)
        os.killpg(process.pid, how)
        process.wait(30)

    def stop(self) -> None:
        for person in self.people:
            person.http.close()
        for name in ("web", "worker", "agent"):
            if name in self.processes:
                self._stop(self.processes.pop(name))
        self.postgres.stop()

    def command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A Django command; raises where it fails."""
        done = self.try_command(*arguments, stdin=stdin)
        if done.returncode:
            raise StackError(f"manage.py {arguments[0]}: {done.stdout}{done.stderr}")
        return done

    def try_command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
        deadline = time.monotonic() + seconds
        while not (result := condition()):
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {name}\n{self.log(name)[-3000:]}" for name in ("web", "agent", "worker"))
                raise StackError(f"waited {seconds} s for {what}\n{tails}")
            time.sleep(0.05)
        return result

    def person(self, email: str = "person@example.com") -> "Person":
        person = Person(self, email)
        self.people.append(person)
        return person

    @staticmethod
    def _stop(process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):  # it ended by itself, and nothing of its group is left
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


class Person:
    """Somebody who signed up over the API and does everything through it."""

    PASSWORD = "a long enough pass phrase"

    def __init__(self, stack: Stack, email: str) -> None:
        self.stack = stack
        self.email = email
        self.http = httpx.Client(base_url=f"{stack.url}/api/v1/", timeout=130, trust_env=False, verify=PLAIN)
        self.post("auth/register/", {"email": email, "password": self.PASSWORD})
        tokens = self.post("auth/login/", {"email": email, "password": self.PASSWORD})
        self.http.headers["Authorization"] = f"Bearer {tokens['access']}"

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        response = self.http.post(path, json=body, **options)
        if response.is_error:
            raise StackError(f"POST {path}: {response.status_code} {response.text}")
        return response.json() if response.content else None

    def get(self, path: str, **options: Any) -> Any:
        response = self.http.get(path, **options)
        if response.is_error:
            raise StackError(f"GET {path}: {response.status_code} {response.text}")
        return response.json()

    def make_bot(self, name: str = "Bot", **configuration: Any) -> str:
        return str(self.post("bots/", {"name": name, "configuration": configuration})["id"])

    def upload(self, bot: str, path: Path) -> str:
        with path.open("rb") as file:
            response = self.http.post(f"bots/{bot}/documents/", files={"file": (path.name, file)})
        if response.is_error:
            raise StackError(f"upload {path.name}: {response.status_code} {response.text}")
        return str(response.json()["id"])

    def paste(self, bot: str, text: str, title: str = "Pasted") -> str:
        return str(self.post(f"bots/{bot}/documents/", {"title": title, "text": text})["id"])

    def wait_until_ended(self, document: str, seconds: float = 90) -> Any:
        def ended() -> Any:
            state = self.get(f"documents/{document}/")
            return state if state["state"] in ("ready", "failed") else None

        return self.stack.wait_for(ended, f"document {document} to end", seconds)

    def converse(self, bot: str) -> str:
        return str(self.post("conversations/", {"bot": bot})["id"])

    def ask(self, conversation: str, text: str, **headers: str) -> httpx.Response:
        return self.http.post(f"conversations/{conversation}/messages/", json={"text": text}, headers=headers)

    def balance(self) -> Any:
        return self.get("credits/")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False, verify=PLAIN).is_success
    except httpx.TransportError:
        return False


@contextmanager
def running_stack(*names: str, **settings: str) -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="chatsphere-stack-"))
    folder.chmod(0o755)
    stack = Stack(folder, settings)
    try:
        stack.start(*names)
        yield stack
    finally:
        stack.stop()
        shutil.rmtree(stack.postgres.home, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
