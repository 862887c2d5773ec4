"""The README's first page, pasted as it stands."""

import re
import subprocess

import pytest

from tests.backend.conversations.sse import events
from tests.stack import ROOT, Stack

pytestmark = pytest.mark.xdist_group("keyless")


def first_answer() -> str:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (commands,) = [block for block in blocks if "auth/register" in block]
    return str(commands)


def test_pasting_it_gives_a_cited_answer(keyless: Stack) -> None:
    commands = first_answer().replace("http://127.0.0.1:8000", keyless.url)
    assert keyless.url in commands
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    stream = events(done.stdout[done.stdout.index("id: 0\n") :].rpartition("{")[0])
    (citation,) = dict(stream)["citations"]["citations"]
    assert citation["document"]["title"] == "tides"
    assert "Bay of Fundy" in citation["quote"]
    assert '"spent":1' in done.stdout
