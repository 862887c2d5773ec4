"""The README's commands, pasted as they stand."""

import asyncio
import json
import re
import subprocess
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.backend.conversations.sse import events
from tests.stack import ROOT, Stack

SITE = "http://127.0.0.1:8000"


def block(language: str, word: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (found,) = [block for block in blocks if word in block]
    return str(found)


def pasted(commands: str, stack: Stack) -> str:
    """What they print at a terminal."""
    assert SITE in commands
    commands = commands.replace(SITE, stack.url)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pasting_it_gives_a_cited_answer(keyless: Stack) -> None:
    shown = pasted(block("sh", "auth/register"), keyless)
    stream = events(shown[shown.index("id: 0\n") :].rpartition("{")[0])
    (citation,) = dict(stream)["citations"]["citations"]
    assert citation["document"]["title"] == "tides"
    assert "Bay of Fundy" in citation["quote"]
    assert '"spent":1' in shown


def test_a_program_gets_cited_answers_too(keyless: Stack) -> None:
    first = block("sh", "auth/register").replace("me@example.com", "program@example.com")
    program = f"{sys.executable} - <<'END'\n{block('python', 'OpenAI')}END\necho \"key $CHATSPHERE_KEY\"\n"
    shown = pasted(f"{first}\necho\n{block('sh', 'CHATSPHERE_KEY')}\necho\n{program}", keyless)
    assert '"object":"chat.completion"' in shown
    assert re.search(r"^1 tides .*Bay of Fundy", shown, re.MULTILINE)
    server = json.loads(block("json", "mcpServers"))["mcpServers"]["chatsphere"]
    key = re.findall(r"^key (cs_\S+)$", shown, re.MULTILINE)[0]
    assert tools(server["url"].replace(SITE, keyless.url), server["headers"], key) == {
        "list_bots", "search_knowledge", "ask_bot", "read_document"
    }  # fmt: skip


def tools(url: str, headers: dict[str, str], key: str) -> set[str]:
    async def listed() -> set[str]:
        given = {name: value.replace("cs_…", key) for name, value in headers.items()}
        async with (
            httpx2.AsyncClient(headers=given, trust_env=False) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return {tool.name for tool in (await client.list_tools()).tools}

    return asyncio.run(listed())
