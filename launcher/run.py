"""`run`: everything on one machine, until Ctrl-C."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from launcher import environment
from launcher.console import Console
from launcher.environment import Environment
from launcher.errors import LauncherError
from launcher.keeper import SharedPostgres, running
from launcher.locks import FileLock
from launcher.migrating import MigrationLog
from launcher.ports import require_free
from launcher.supervisor import Service, Supervisor

GEMINI_PORT, PINECONE_PORT = 9101, 9102
EMULATED = {
    "GOOGLE_API_KEY": "emulated",
    "GOOGLE_BASE_URL": f"http://127.0.0.1:{GEMINI_PORT}",
    "PINECONE_API_KEY": "emulated",
    "PINECONE_CONTROL_URL": f"http://127.0.0.1:{PINECONE_PORT}",
    "PINECONE_INDEX": "chatsphere",
    "PINECONE_HOST": f"http://127.0.0.1:{PINECONE_PORT}",
}
_START = str(Path(__file__).with_name("start"))
_LOOK_SECONDS = 0.3
_RETRY_SECONDS = 3.0


def services(env: Environment, *, emulators: bool) -> list[Service]:
    """The Procfile's entries in the order in which they need each other."""
    ours = [
        Service("agent", ["sh", _START, "agent"], f"{env.agent_url}/readyz", stage=1),
        Service("web", ["sh", _START, "web"], f"{env.url}/readyz", stage=2),
        Service("worker", ["sh", _START, "worker"], stage=2),
    ]
    ports = ["--gemini-port", str(GEMINI_PORT), "--pinecone-port", str(PINECONE_PORT)]
    up = f"http://127.0.0.1:{PINECONE_PORT}/__control"
    return [Service("emulators", ["python", "-m", "tests.emulators", *ports], up), *ours] if emulators else ours


def run(*, emulators: bool) -> int:
    begun = time.monotonic()
    console = Console()
    if made := environment.ensure_secrets():
        console.say(f"Made {', '.join(made)} in .env")
    env = environment.read(emulated=EMULATED if emulators else None)
    with _alone(env.data_dir), contextlib.ExitStack() as stack:
        require_free(env.port, "PORT")
        require_free(env.agent_port, "AGENT_PORT")
        for port in (GEMINI_PORT, PINECONE_PORT) if emulators else ():
            require_free(port)
        database = stack.enter_context(running(env.data_dir, _noting(console))) if env.embedded else None
        return asyncio.run(_run(env, services(env, emulators=emulators), console, database, begun))


def _noting(console: Console) -> Callable[[str], None]:
    return lambda text: console.line("postgres", text)


@contextlib.contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    data_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(data_dir / "run.lock")
    if not lock.try_take():
        raise LauncherError(
            f"ChatSphere runs here already (pid {lock.read()}, data in {data_dir}); stop that one first"
        )
    lock.write(str(os.getpid()))
    try:
        yield
    finally:
        lock.release()


async def _run(
    env: Environment, wanted: Sequence[Service], console: Console, database: SharedPostgres | None, begun: float
) -> int:
    supervisor = Supervisor(wanted, env.variables, console)
    _stop_on_signals(supervisor.stop)
    guard = asyncio.create_task(_guard(database, console)) if database else None
    try:
        migrations = MigrationLog(console)
        await supervisor.once(Service("release", ["sh", _START, "release"]), migrations)
        migrations.tell()
        await supervisor.start()
        if not supervisor.stopping:
            console.say(_welcome(env, time.monotonic() - begun))
        await supervisor.wait()
    finally:
        if guard:
            guard.cancel()
    console.say("Stopped; the data is kept")
    return 0


def _stop_on_signals(stop: Callable[[], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            asyncio.get_running_loop().add_signal_handler(number, stop)


async def _guard(database: SharedPostgres, console: Console) -> None:
    """The database belongs to the processes too: it comes back when it dies."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        if database.kept():
            continue
        console.line("postgres", "ended; starts again")
        try:
            await asyncio.to_thread(database.ensure_up)
        except LauncherError as error:
            console.line("postgres", str(error))
            await asyncio.sleep(_RETRY_SECONDS)


def _welcome(env: Environment, seconds: float) -> str:
    return f"""
ChatSphere is ready after {seconds:.1f} s: {env.url}
  API docs        {env.url}/api/docs/
  Browsable API   {env.url}/api/v1/
  Admin           {env.url}/admin/   (`make admin` in another terminal makes the first account)
Ctrl-C stops everything; the data stays in {env.data_dir}
"""
