"""The product under load: a stack against emulators in a process of their own, a person, a bot, its documents."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.load import Sample
from bench.wire import Lines, Refused
from tests.stack import ROOT, Person, Stack, free_port, running_stack

QUESTION = "How many people work in the department of paragraph 77?"


@dataclass(frozen=True)
class Product:
    stack: Stack
    gemini: str
    person: Person
    bot: str


@contextmanager
def product(**settings: str) -> Iterator[Product]:
    gemini_port, pinecone_port = free_port(), free_port()
    command = [sys.executable, "-m", "tests.emulators", "--gemini-port", str(gemini_port)]
    emulators = subprocess.Popen(
        [*command, "--pinecone-port", str(pinecone_port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{gemini_port}"
    try:
        with running_stack(
            GOOGLE_API_KEY="bench",
            GOOGLE_BASE_URL=url,
            SIGNUP_GRANT="1000000000",
            UPLOAD_LIMIT_PER_HOUR="0",
            **settings,
        ) as stack:
            person = stack.person()
            yield Product(stack, url, person, person.make_bot())
    finally:
        emulators.terminate()
        emulators.wait(10)


def control(target: Product, order: dict[str, object]) -> None:
    """Tell the model's emulator how to behave."""
    httpx.post(f"{target.gemini}/__control", json=order, trust_env=False).raise_for_status()


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """User and system time so far of web, agent, worker and the database, their children included."""
    ticks = os.sysconf("SC_CLK_TCK")
    names = dict(processes_of(stack))
    used = dict.fromkeys([*stack.processes, "postgres"], 0.0)
    for pid, _, spent in _processes():
        if pid in names:
            used[names[pid]] += spent / ticks
    return used


def processes_of(stack: Stack) -> Iterator[tuple[int, str]]:
    """Each process of the product's, and which part it is or belongs to."""
    roots = {process.pid: name for name, process in stack.processes.items()} | {stack.postgres.pid: "postgres"}
    for pid, parent, _ in _processes():
        name = roots.get(pid) or roots.get(parent)
        if name:
            yield pid, name


def _processes() -> Iterator[tuple[int, int, int]]:
    """(pid, parent, ticks used) of every process, those of its ended children included."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        yield int(folder.name), int(fields[1]), sum(int(field) for field in fields[11:15])


class Asker:
    """Streams answers from the product, each lane in a conversation of its own."""

    def __init__(self, target: Product) -> None:
        self._target = target
        self._lines = Lines(target.stack.url)
        self._conversations: list[str] = []

    async def prepare(self, lanes: int) -> None:
        """Conversations for so many lanes; those that are there are taken again, with their histories."""
        for _ in range(len(self._conversations), lanes):
            self._conversations.append(await asyncio.to_thread(self._target.person.converse, self._target.bot))

    async def __call__(self, lane: int) -> Sample:
        path = f"/api/v1/conversations/{self._conversations[lane]}/messages/"
        headers = {"Authorization": self._target.person.http.headers["Authorization"], "Accept": "text/event-stream"}
        return await streamed(self._lines, path, {"text": QUESTION}, headers, b"event: delta", b"event: done")

    def close(self) -> None:
        self._lines.close()


class Direct:
    """The same prompt sent to the model's emulator by hand: what nobody can be faster than."""

    def __init__(self, target: Product, prompt: dict[str, object]) -> None:
        self._lines = Lines(target.gemini)
        self._prompt = prompt

    async def __call__(self, _lane: int) -> Sample:
        path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
        headers = {"x-goog-api-key": "bench"}
        return await streamed(self._lines, path, self._prompt, headers, b"data: ", b"finishReason")

    def close(self) -> None:
        self._lines.close()


async def streamed(
    lines: Lines, path: str, body: dict[str, object], headers: dict[str, str], first: bytes, last: bytes
) -> Sample:
    started = time.perf_counter()
    seen, received = 0.0, b""
    async with lines.post(path, body, headers) as blocks:
        async for block in blocks:
            received += block
            if not seen and first in received:
                seen = time.perf_counter()
    if last not in received:
        raise Refused(repr(received[-500:]))
    return Sample((seen - started) * 1000, (time.perf_counter() - started) * 1000)


def last_prompt(target: Product) -> dict[str, object]:
    """What the agent sent to the model last, from the emulator's journal."""
    calls = httpx.get(f"{target.gemini}/__control", trust_env=False).json()["calls"]
    prompts = [call["body"] for call in calls if call["route"] == "streamGenerateContent"]
    prompt: dict[str, object] = json.loads(prompts[-1]) if isinstance(prompts[-1], str) else prompts[-1]
    return prompt
