"""`python -m tests.emulators` as another process would have it."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "tests.emulators",
        "--gemini-port",
        "0",
        "--pinecone-port",
        "0",
        "--openai-port",
        "0",
        "--anthropic-port",
        "0",
        "--dimension",
        "5",
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_all_are_served_until_interrupted(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    output = process.stdout
    gemini, pinecone, openai, anthropic = (re.findall(r"http://\S+", output.readline())[0] for _ in range(4))
    assert httpx.get(f"{gemini}/v1beta/models", headers={"x-goog-api-key": "any"}).status_code == 200
    assert httpx.get(f"{openai}/v1/models").json()["object"] == "list"
    assert httpx.get(f"{anthropic}/v1/models", headers={"x-api-key": "any"}).status_code == 200
    index = httpx.get(f"{pinecone}/indexes/chatsphere", headers={"api-key": "any"}).json()
    assert index["dimension"] == 5
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 0
