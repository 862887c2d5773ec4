"""Agents are files: all of them are checked at the start, and one that has gone is answered for by the default."""

import logging
from pathlib import Path

import pytest

from agent_service import main
from agent_service.errors import Misconfigured
from agent_service.pipeline.agents.registry import FOLDER, read_agents
from agent_service.settings import Settings
from tests.agent_service.calls import Caller

PLAIN = 'id = "{id}"\ntitle = "T"\ndescription = "D"\nkind = "rag"\n'


def folder_with(tmp_path: Path, name: str, text: str) -> Path:
    (tmp_path / "default.toml").write_text(PLAIN.format(id="default"))
    (tmp_path / name).write_text(text)
    return tmp_path


def test_the_agents_that_come_with_it(keyless: Caller) -> None:
    agents = keyless.get("/agents").json()["agents"]
    kinds = {agent["id"]: agent["kind"] for agent in agents}
    wanted = {"default": "rag", "researcher": "react", "passages": "passages"}
    assert kinds == wanted | {"cairo_coder": "rag", "scarb_assistant": "rag"}
    assert [agent["id"] for agent in agents if agent["default"]] == ["default"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (PLAIN.format(id="mine").replace("rag", "magic"), "kind"),
        (PLAIN.format(id="mine") + "passages = 0\n", "passages"),
        (PLAIN.format(id="mine") + 'colour = "red"\n', "colour"),
        (PLAIN.format(id="other"), "id"),
        (
            PLAIN.format(id="mine") + '[[analysis.topics]]\nwords = ["a"]\nresources = ["nowhere"]\n',
            "analysis.topics.0",
        ),
        ("id = [", "cannot be read"),
    ],
)
def test_a_bad_file_is_named_with_its_field(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        read_agents(folder_with(tmp_path, "mine.toml", text))
    assert str(tmp_path / "mine.toml") in refused.value.message
    assert field in refused.value.message


def test_without_a_default_there_is_no_start(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(PLAIN.format(id="mine"))
    with pytest.raises(Misconfigured, match=r"default\.toml is missing"):
        read_agents(tmp_path)


def test_a_bad_file_stops_the_agent_with_a_sentence(
    tmp_path: Path, agent_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_with(tmp_path, "mine.toml", PLAIN.format(id="mine").replace("rag", "magic"))
    changed = agent_settings.model_copy(update={"agents_folder": str(folder)})
    monkeypatch.setattr(main, "Settings", lambda: changed)
    with pytest.raises(SystemExit, match=r"does not start.*mine\.toml: kind: "):
        main.app_from_environment()


def test_a_file_of_ones_own_replaces_ours(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "researcher.toml", PLAIN.format(id="researcher"))
    assert read_agents(FOLDER, folder).get("researcher").kind == "rag"


def test_an_agent_that_has_gone_is_the_default_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert read_agents(FOLDER).get("gone").id == "default"
    assert "There is no agent gone here" in caplog.text
