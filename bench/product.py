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


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """User and system time so far of web, agent, worker and the database, their children included."""
    ticks = os.sysconf("SC_CLK_TCK")
    roots = {process.pid: name for name, process in stack.processes.items()} | {stack.postgres.pid: "postgres"}
    used = dict.fromkeys(roots.values(), 0.0)
    for pid, parent, spent in _processes():
        name = roots.get(pid) or roots.get(parent)
        if name:
            used[name] += spent / ticks
    return used


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

    def __init__(self, target: Product, http: httpx.AsyncClient) -> None:
        self._target = target
        self._http = http
        self._conversations: dict[int, str] = {}

    async def prepare(self, lanes: int) -> None:
        for lane in range(lanes):
            self._conversations[lane] = await asyncio.to_thread(self._target.person.converse, self._target.bot)

    async def __call__(self, lane: int) -> Sample:
        url = f"{self._target.stack.url}/api/v1/conversations/{self._conversations[lane]}/messages/"
        headers = {"Authorization": self._target.person.http.headers["Authorization"], "Accept": "text/event-stream"}
        return await streamed(self._http, url, {"text": QUESTION}, headers, b"event: delta", b"event: done")


class Direct:
    """The same prompt sent to the model's emulator by hand: what nobody can be faster than."""

    def __init__(self, target: Product, http: httpx.AsyncClient, prompt: dict[str, object]) -> None:
        self._url = f"{target.gemini}/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
        self._http = http
        self._prompt = prompt

    async def __call__(self, _lane: int) -> Sample:
        headers = {"x-goog-api-key": "bench"}
        return await streamed(self._http, self._url, self._prompt, headers, b"data: ", b"finishReason")


async def streamed(
    http: httpx.AsyncClient, url: str, body: dict[str, object], headers: dict[str, str], first: bytes, last: bytes
) -> Sample:
    started = time.perf_counter()
    seen, received = 0.0, b""
    async with http.stream("POST", url, json=body, headers=headers) as response:
        async for block in response.aiter_raw():
            received += block
            if not seen and first in received:
                seen = time.perf_counter()
    if response.is_error or last not in received:
        raise RuntimeError(f"{response.status_code}: {received[-500:]!r}")
    return Sample((seen - started) * 1000, (time.perf_counter() - started) * 1000)


def last_prompt(target: Product) -> dict[str, object]:
    """What the agent sent to the model last, from the emulator's journal."""
    calls = httpx.get(f"{target.gemini}/__control", trust_env=False).json()["calls"]
    prompts = [call["body"] for call in calls if call["route"] == "streamGenerateContent"]
    prompt: dict[str, object] = json.loads(prompts[-1]) if isinstance(prompts[-1], str) else prompts[-1]
    return prompt
