"""`.env.example` tells all settings of both services, with the values they have when nothing is set."""

import ast
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values
from pydantic import SecretStr

from agent_service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
BACKEND = ROOT / "backend" / "config" / "settings.py"
LAUNCHER = {"PORT", "AGENT_PORT", "BIND"}
COMPOSE = {"POSTGRES_PASSWORD"}
DEPENDS_ON_THE_FOLDER = {"DATA_DIR", "STORAGE_DIR", "DATABASE_URL"}


def backend_names() -> list[str]:
    """Every first argument of `env.…("NAME")`, in the order of the file."""
    calls = [node for node in ast.walk(ast.parse(BACKEND.read_text())) if isinstance(node, ast.Call) and _reads(node)]
    return list(dict.fromkeys(_name(call) for call in sorted(calls, key=lambda call: call.lineno)))


def _reads(call: ast.Call) -> bool:
    function = call.func
    is_env = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "env"
    return is_env and bool(call.args) and isinstance(call.args[0], ast.Constant)


def _name(call: ast.Call) -> str:
    assert isinstance(call.args[0], ast.Constant)
    return str(call.args[0].value)


def agent_names() -> list[str]:
    return [name.upper() for name in Settings.model_fields]


def example() -> dict[str, str]:
    return {name: value or "" for name, value in dotenv_values(ROOT / ".env.example", interpolate=False).items()}


def test_it_has_every_setting_and_no_other() -> None:
    assert set(example()) == {*backend_names(), *agent_names(), *LAUNCHER, *COMPOSE}


@pytest.mark.parametrize("names", [backend_names(), agent_names()], ids=["backend", "agent"])
def test_it_is_ordered_as_the_settings_files(names: list[str]) -> None:
    shared = set(backend_names()) & set(agent_names())
    own = [name for name in names if name not in shared]
    assert [name for name in example() if name in own] == own


def test_every_setting_says_what_it_means() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    silent = [
        line
        for before, line in itertools.pairwise(lines)
        if re.match(r"[A-Z_]+=", line) and not before.startswith("#") and not re.match(r"[A-Z_]+=", before)
    ]
    assert silent == []


def test_its_values_are_those_of_the_backend_without_any() -> None:
    """Both ways of starting give the same settings: with nothing set, and with the whole of it set."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    given = {name: value for name, value in example().items() if name not in DEPENDS_ON_THE_FOLDER}
    assert backend_settings(clean) == backend_settings(clean | given)


def backend_settings(environment: dict[str, str]) -> str:
    script = (
        "import environ; environ.Env.read_env = staticmethod(lambda *_: None)\n"
        "from backend.config import settings\n"
        "print({name: getattr(settings, name) for name in sorted(dir(settings)) if name.isupper()})"
    )
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def test_its_values_are_those_of_the_agent_without_any(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in agent_names():
        monkeypatch.delenv(name, raising=False)
    needed = {"service_key": SecretStr("0123456789abcdef" * 2), "database_url": SecretStr("postgres://x/y")}
    bare = Settings(_env_file=None, **needed)  # type: ignore[arg-type]
    assert Settings(_env_file=ROOT / ".env.example", **needed) == bare  # type: ignore[arg-type]
