"""No container engine is needed to see that the container files say what the rest of the project says."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from launcher import environment
from launcher.run import services
from tests.launcher.test_settings_files import agent_names, backend_names, example

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
OURS = ("web", "agent", "worker")
SECRETS = (*environment.SECRETS, "POSTGRES_PASSWORD")


def procfile() -> dict[str, str]:
    return dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())


def stages() -> dict[str, str]:
    """The Dockerfile's stages by name."""
    parts = re.split(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    return dict(zip(parts[2::3], parts[3::3], strict=True))


def test_there_are_four_services() -> None:
    assert set(SERVICES) == {"web", "agent", "worker", "postgres"}


def test_images_are_pinned_to_versions() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.fullmatch(r"pgvector/pgvector:0\.\d+\.\d+-pg18", SERVICES["postgres"]["image"])
    assert {SERVICES[name]["image"] for name in OURS} == {f"chatsphere-{name}:{version}" for name in OURS}
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)
    assert [base for base in bases if base not in stages()] == [bases[0]]
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", bases[0])


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_a_target_that_runs_the_procfile_s_entry(name: str) -> None:
    assert SERVICES[name]["build"] == {"context": ".", "dockerfile": "docker/Dockerfile", "target": name}
    assert SERVICES[name]["command"][-1] == name
    assert set(SERVICES[name]["command"]) <= set(procfile())
    assert f'CMD ["{name}"]' in stages()[name]
    assert 'ENTRYPOINT ["sh", "launcher/start"]' in stages()["base"]


def test_web_migrates_before_it_serves_and_the_worker_comes_after() -> None:
    assert SERVICES["web"]["command"] == ["release", "web"]
    healthy = {"condition": "service_healthy"}
    assert SERVICES["web"]["depends_on"] == {"postgres": healthy, "agent": healthy}
    assert SERVICES["agent"]["depends_on"] == {"postgres": healthy}
    assert SERVICES["worker"]["depends_on"] == {"web": healthy}


def test_make_run_starts_what_the_procfile_says(tmp_path: Path) -> None:
    env = environment.read(root=tmp_path, given={"PATH": os.environ["PATH"]})
    started = {service.command[-1] for service in services(env, emulators=False)}
    assert started | {"release"} == set(procfile())


@pytest.mark.parametrize(("name", "variable", "port"), [("web", "PORT", "8000"), ("agent", "AGENT_PORT", "8001")])
def test_ports_are_the_same_everywhere(name: str, variable: str, port: str) -> None:
    assert example()[variable] == port
    assert f"--port ${{{variable}:-{port}}}" in procfile()[name]
    assert f"EXPOSE {port}" in stages()[name]
    assert f'"docker/healthy.py", "http", "{port}"' in stages()[name]


def test_only_the_web_process_is_reachable_and_only_from_this_machine() -> None:
    assert SERVICES["web"]["ports"] == ["${BIND:-127.0.0.1}:${PORT:-8000}:8000"]
    assert not any("ports" in SERVICES[name] for name in SERVICES if name != "web")
    assert SERVICES["web"]["environment"]["AGENT_URL"] == "http://agent:8001"


@pytest.mark.parametrize(
    ("name", "names"), [("web", backend_names()), ("worker", backend_names()), ("agent", agent_names())]
)
def test_each_service_gets_its_own_settings_all_of_them_and_no_others(name: str, names: list[str]) -> None:
    assert list(SERVICES[name]["environment"]) == [*names, "PGPASSWORD"]


def test_every_variable_that_is_asked_for_is_in_the_example() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert asked <= set(example())


@pytest.mark.parametrize("name", ["web", "worker"])
def test_it_runs_in_production(name: str) -> None:
    variables = SERVICES[name]["environment"]
    assert (variables["PRODUCTION"], variables["DEBUG"]) == ("1", "0")


def test_secrets_must_be_given_and_have_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for secret in SECRETS:
        uses = re.findall(rf"\$\{{{secret}[^}}]*\}}", text)
        assert uses
        assert all(use.startswith(f"${{{secret}:?") for use in uses)
        assert example()[secret] == ""


@pytest.mark.parametrize("name", OURS)
def test_our_containers_can_do_little(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "USER 10001" in stages()["agent" if name == "agent" else "backend"]
    assert "HEALTHCHECK" in stages()[name]


def test_only_volumes_are_written_and_uploads_are_on_one() -> None:
    for name in ("web", "worker"):
        assert SERVICES[name]["volumes"] == ["files:/data"]
        assert SERVICES[name]["environment"]["STORAGE_DIR"] == "/data"
    assert SERVICES["postgres"]["volumes"] == ["database:/var/lib/postgresql"]
    assert set(COMPOSE["volumes"]) == {"files", "database"}


def test_images_are_made_by_the_commands_that_make_uses() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "launcher/install.py" in makefile
    for name in ("backend", "agent"):
        assert f"RUN python launcher/install.py {name} --venv /opt/venv" in stages()[f"{name}-packages"]
        assert f"COPY requirements/{name}.txt" in stages()[f"{name}-packages"]
    assert "pip " not in DOCKERFILE


def test_what_images_copy_is_there_and_not_ignored() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [
        path for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE) for path in line.split()
    ]
    assert all((ROOT / path).exists() for path in copied)
    assert {path.split("/")[0] for path in copied} == allowed


def test_the_agent_s_image_has_nothing_of_the_backend() -> None:
    assert "COPY backend" not in stages()["agent"]
    assert stages()["backend"].count("agent_service/") == 3  # __init__, the wire, and where they go


def test_the_health_check_tells_an_answer_from_silence(unused_tcp_port: int) -> None:
    check = [sys.executable, str(ROOT / "docker" / "healthy.py")]
    assert subprocess.run([*check, "http", str(unused_tcp_port)], check=False).returncode == 1
    nobody = {"DATABASE_URL": f"postgres://x@127.0.0.1:{unused_tcp_port}/x", "PATH": os.environ["PATH"]}
    assert subprocess.run([*check, "worker"], env=nobody, check=False).returncode == 1


def test_locks_have_hashes_and_no_addresses() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text()
        pins = re.findall(r"^[a-z0-9][^\n]*==[^\n]*(?:\n    --hash[^\n]*)+", text, flags=re.MULTILINE)
        assert len(pins) == len(re.findall(r"^[a-z0-9]", text, flags=re.MULTILINE))
        assert "://" not in text
        assert not re.search(r"^\s*(-i|-f|--index|--extra|--find)", text, flags=re.MULTILINE)
