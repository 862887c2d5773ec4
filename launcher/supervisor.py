"""Processes that belong together: one log, started again when they die, ended in order, nothing left behind."""

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from launcher.binaries import ends_with_us
from launcher.console import Console, Lines, Log
from launcher.errors import LauncherError

_STEADY_SECONDS = 30.0  # up for that long, a process has earned a quick restart again
_DELAYS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_FIRST_TRIES = 3
_PATIENCE_SECONDS = 20.0
_OK = "200"


@dataclass(frozen=True, slots=True)
class Service:
    """`ready_url` answers 200 once it works; without one, running is ready. Higher stages start later and end first."""

    name: str
    command: Sequence[str]
    ready_url: str | None = None
    stage: int = 0


class Child:
    """One process of a service, in a process group of its own; its lines go to the log."""

    def __init__(self, service: Service, log: Log) -> None:
        self._service = service
        self._log = log
        self._process: Process | None = None
        self._told = False

    async def run(self, environment: Mapping[str, str]) -> int:
        """From start to end; returns the exit status, negative for a signal."""
        words = [*map(str, ends_with_us("KILL")), *self._service.command]
        # A pipe of our own: asyncio's would make `wait` last as long as any grandchild holds it open.
        theirs, ours = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *words, env=dict(environment), stdin=DEVNULL, stdout=ours, stderr=STDOUT, start_new_session=True
            )
        finally:
            os.close(ours)
        if self._told:
            self.terminate()
        relay = asyncio.create_task(self._relay(os.fdopen(theirs, "rb")))
        try:
            return await self._process.wait()
        finally:
            self.kill()
            await asyncio.wait([relay], timeout=2)  # a process that left the group may hold the pipe open
            relay.cancel()

    def terminate(self) -> None:
        """Asks the process alone: what it started is its own to end. Whatever is left then is killed with the group."""
        self._told = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _relay(self, pipe: IO[bytes]) -> None:
        reader, lines = asyncio.StreamReader(), Lines()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        with contextlib.closing(transport):
            while data := await reader.read(65536):
                self._print(lines.feed(data))
            self._print(lines.end())

    def _print(self, lines: list[str]) -> None:
        for line in lines:
            self._log.line(self._service.name, line)


class Supervisor:
    """Keeps `services` running until `stop` is called; a second call kills."""

    def __init__(
        self,
        services: Sequence[Service],
        environment: Mapping[str, str],
        console: Console,
        *,
        grace_seconds: float = 45.0,
    ) -> None:
        self._services = services
        self._environment = environment
        self._console = console
        self._grace_seconds = grace_seconds
        self._children: dict[str, Child] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        self._killing = asyncio.Event()
        self._settled = (
            False  # everything was ready once: from here on a death is an accident, not a mistake in the set-up
        )

    async def start(self) -> None:
        """Returns when all are ready, or when told to stop; raises LauncherError if one does not come up."""
        try:
            for stage in sorted({service.stage for service in self._services}):
                if self.stopping:
                    return
                await self._start_stage([service for service in self._services if service.stage == stage])
            self._settled = True
        except LauncherError:
            await self._end()
            raise

    async def once(self, service: Service, log: Log | None = None) -> None:
        """Runs it to its end; raises LauncherError if it fails, not if it was told to stop. `log` is where its lines
        go, if not to the console."""
        child = Child(service, log or self._console)
        running = asyncio.create_task(child.run(self._environment))
        told = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([running, told], return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            child.terminate()
        told.cancel()
        status = await running
        if status and not self.stopping:
            raise LauncherError(f"{service.name} failed ({_cause(status)}); its lines above say why")

    async def wait(self) -> None:
        """Returns when `stop` was called and all have ended."""
        await self._stopping.wait()
        await self._end()

    def stop(self) -> None:
        if self._stopping.is_set():
            self._killing.set()
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    async def _start_stage(self, services: Sequence[Service]) -> None:
        for service in services:
            self._tasks[service.name] = asyncio.create_task(self._keep(service))
        ready = [asyncio.create_task(self._until_ready(service)) for service in services]
        told = asyncio.create_task(self._stopping.wait())
        watched = {told, *ready, *(self._tasks[service.name] for service in services)}
        try:
            while not told.done() and not all(task.done() for task in ready):
                done, watched = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in (told, *ready):
                task.cancel()

    async def _keep(self, service: Service) -> None:
        failures = 0
        while not self._stopping.is_set():
            child = self._children[service.name] = Child(service, self._console)
            begun = time.monotonic()
            status = await child.run(self._environment)
            if self._stopping.is_set():
                return
            failures = 1 if time.monotonic() - begun > _STEADY_SECONDS else failures + 1
            if failures >= _FIRST_TRIES and not self._settled:
                raise LauncherError(f"{service.name} does not start ({_cause(status)}); its lines above say why")
            delay = _DELAYS[min(failures, len(_DELAYS)) - 1]
            self._console.line(service.name, f"ended: {_cause(status)}; starts again in {delay:g} s")
            await self._pause(delay)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _until_ready(self, service: Service) -> None:
        told = time.monotonic()
        while service.ready_url is not None and (answer := await _ask(service.ready_url)) != _OK:
            if time.monotonic() - told > _PATIENCE_SECONDS:
                told = time.monotonic()
                self._console.line(service.name, f"is not ready yet: {service.ready_url} says {answer}")
            await asyncio.sleep(0.1)

    async def _end(self) -> None:
        self._stopping.set()
        for stage in sorted({service.stage for service in self._services}, reverse=True):
            names = [service.name for service in self._services if service.stage == stage]
            await self._end_together([name for name in names if name in self._tasks])

    async def _end_together(self, names: Sequence[str]) -> None:
        tasks = [self._tasks[name] for name in names]
        if not tasks:
            return
        for name in names:
            if name in self._children:
                self._children[name].terminate()
        hurry = asyncio.create_task(self._killing.wait())
        ended: asyncio.Future[list[BaseException | None]] = asyncio.gather(*tasks, return_exceptions=True)
        watched: set[asyncio.Future[Any]] = {ended, hurry}
        await asyncio.wait(watched, timeout=self._grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        for name in names:
            if not self._tasks[name].done():
                self._console.line(name, "does not end by itself: killed")
                self._children[name].kill()
        await ended


def _cause(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


async def _ask(url: str) -> str:
    """`200`, or what came instead."""
    host, _, rest = url.removeprefix("http://").partition(":")
    port, _, path = rest.partition("/")
    try:
        async with asyncio.timeout(3):
            reader, writer = await asyncio.open_connection(host, int(port))
            with contextlib.closing(writer):
                writer.write(f"GET /{path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                head, _, body = (await reader.read(4096)).decode(errors="replace").partition("\r\n\r\n")
    except (OSError, TimeoutError) as error:
        return str(error) or "nothing"
    status = head.split(" ", 2)[1] if head.startswith("HTTP/") else "nothing"
    return status if status == _OK else f"{status} {body[:500]}"
