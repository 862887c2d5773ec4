import asyncio
import io
import os
import re
import sys
import time
from collections.abc import Callable

import pytest

from launcher import supervisor
from launcher.console import Console
from launcher.errors import LauncherError
from launcher.supervisor import Service, Supervisor
from tests.launcher.test_postgres import gone

SLEEP = "import time; time.sleep(60)"
CUT_IN_TWO = "for _ in range(50): print('a' * 40, end='', flush=True); print('b' * 40)\n"
POLITE = """
import signal, sys, time
def bye(*_):
    time.sleep(0.2)
    print('{0} ends')
    sys.exit()
signal.signal(signal.SIGTERM, bye)
print('{0} up')
time.sleep(60)
"""
SERVER = """
import http.server, time
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status})
        self.end_headers()
        self.wfile.write(b'{body}')
time.sleep(0.5)
http.server.HTTPServer(('127.0.0.1', {port}), Answer).serve_forever()
"""
NESTED = f"""
import subprocess, sys, time
print('child', subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid)
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('deaf')
time.sleep(60)
"""


class Watched:
    """A supervisor over Python one-liners, and what it wrote."""

    def __init__(self, *services: Service, grace_seconds: float = 5) -> None:
        self.out = io.StringIO()
        self.supervisor = Supervisor(services, dict(os.environ), Console(self.out), grace_seconds=grace_seconds)

    async def until(self, condition: Callable[[], object], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.02)

    def said(self, pattern: str) -> list[str]:
        return re.findall(pattern, self.out.getvalue())

    async def end(self) -> None:
        self.supervisor.stop()
        await self.supervisor.wait()


def python(name: str, code: str, **options: object) -> Service:
    return Service(name, [sys.executable, "-u", "-c", code], **options)  # type: ignore[arg-type]


async def test_lines_come_whole_with_their_process_in_front() -> None:
    watched = Watched(
        python("one", CUT_IN_TWO + SLEEP),
        python("two", "for _ in range(50): print('c' * 80)\n" + SLEEP),
    )
    await watched.supervisor.start()
    await watched.until(lambda: len(watched.said("one +\\|")) >= 50 and len(watched.said("two +\\|")) >= 50)
    await watched.end()
    line = re.compile(r"\d\d:\d\d:\d\d (one +\| a{40}b{40}|two +\| c{80})")
    assert all(line.fullmatch(text) for text in watched.out.getvalue().splitlines())


async def test_what_dies_starts_again_and_says_why() -> None:
    watched = Watched(python("web", "import os, signal; print('up', os.getpid(), flush=True); signal.pause()"))
    await watched.supervisor.start()
    await watched.until(lambda: watched.said("up"))
    os.kill(int(watched.said(r"up (\d+)")[0]), 9)
    await watched.until(lambda: len(watched.said("up")) == 2)
    await watched.end()
    assert watched.said("ended: killed by SIGKILL; starts again in 0.2 s")


async def test_what_does_not_come_up_ends_everything() -> None:
    agent = "import os; print('agent', os.getpid());" + SLEEP
    never = "http://127.0.0.1:9/readyz"
    watched = Watched(python("agent", agent, ready_url=never), python("web", "raise SystemExit(3)"))
    with pytest.raises(LauncherError, match=r"web does not start \(exit status 3\)"):
        await watched.supervisor.start()
    assert await asyncio.to_thread(gone, int(watched.said(r"agent (\d+)")[0]))


async def test_a_stage_waits_until_the_one_before_is_ready(unused_tcp_port: int) -> None:
    server = SERVER.format(port=unused_tcp_port, status=200, body="")
    agent = python("agent", server, ready_url=f"http://127.0.0.1:{unused_tcp_port}/readyz")
    watched = Watched(agent, python("web", "print('second');" + SLEEP, stage=1))
    begun = time.monotonic()
    await watched.supervisor.start()
    await watched.until(lambda: watched.said("second"))
    assert time.monotonic() - begun > 0.5
    await watched.end()


async def test_what_is_slow_to_be_ready_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(supervisor, "_PATIENCE_SECONDS", 0.3)
    server = SERVER.format(port=unused_tcp_port, status=503, body="agent: unavailable")
    watched = Watched(python("web", server, ready_url=f"http://127.0.0.1:{unused_tcp_port}/readyz"))
    starting = asyncio.create_task(watched.supervisor.start())
    await watched.until(lambda: watched.said("says 503 agent: unavailable"))
    await watched.end()
    await starting


async def test_stopping_ends_the_last_stage_first_and_lets_it_finish() -> None:
    watched = Watched(python("agent", POLITE.format("agent")), python("web", POLITE.format("web"), stage=1))
    await watched.supervisor.start()
    await watched.until(lambda: len(watched.said("up")) == 2)
    await watched.end()
    assert watched.said(r"(\w+) ends") == ["web", "agent"]


async def test_what_does_not_end_is_killed_with_all_it_started() -> None:
    watched = Watched(python("worker", NESTED + STUBBORN), grace_seconds=0.3)
    await watched.supervisor.start()
    await watched.until(lambda: watched.said("deaf"))
    await watched.end()
    assert watched.said("worker .*does not end by itself: killed")
    assert await asyncio.to_thread(gone, int(watched.said(r"child (\d+)")[0]))


async def test_a_second_stop_does_not_wait() -> None:
    watched = Watched(python("worker", STUBBORN), grace_seconds=60)
    await watched.supervisor.start()
    await watched.until(lambda: watched.said("deaf"))
    watched.supervisor.stop()
    asyncio.get_running_loop().call_later(0.2, watched.supervisor.stop)
    async with asyncio.timeout(5):
        await watched.supervisor.wait()


async def test_children_of_a_dead_process_are_not_left_to_its_successor() -> None:
    watched = Watched(python("worker", NESTED + "time.sleep(0.3); sys.exit(1)"))
    await watched.supervisor.start()
    await watched.until(lambda: watched.said("child"))
    assert await asyncio.to_thread(gone, int(watched.said(r"child (\d+)")[0]))
    await watched.end()


async def test_one_run_to_the_end_fails_loudly_or_is_stopped_quietly() -> None:
    watched = Watched()
    await watched.supervisor.once(python("release", "print('done')"))
    with pytest.raises(LauncherError, match="release failed"):
        await watched.supervisor.once(python("release", "raise SystemExit(1)"))
    running = asyncio.create_task(watched.supervisor.once(python("release", "print('busy');" + SLEEP)))
    await watched.until(lambda: watched.said("busy"))
    await watched.end()
    await running


async def test_a_stop_before_the_first_start_starts_nothing() -> None:
    watched = Watched(python("web", "print('up');" + SLEEP))
    watched.supervisor.stop()
    await watched.supervisor.start()
    await watched.supervisor.wait()
    assert watched.out.getvalue() == ""
