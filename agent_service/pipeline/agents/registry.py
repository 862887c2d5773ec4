"""The agents that this service has, by id: one TOML file each, named after its id, all checked at the start."""

import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter, ValidationError

from agent_service.contract import DEFAULT_AGENT, AgentId, AgentInfo, AgentKind, AgentsResponse
from agent_service.errors import Misconfigured
from agent_service.pipeline.agents.programs import Program, read_program

log = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parents[2] / "agents"

Word = Annotated[str, Field(min_length=1, max_length=80)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}$")]
Prose = Annotated[str, Field(max_length=20_000)]

_AN_ID = TypeAdapter(AgentId)


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Templates(Part):
    """Added to the instructions: `prompt` always, the others where a question asks for a contract or for a test."""

    prompt: Prose = ""
    contract: Prose = ""
    test: Prose = ""


class Topic(Part):
    """A question with one of these `words` is also searched with `terms`, in `resources`."""

    words: tuple[Word, ...] = Field(min_length=1)
    terms: tuple[Word, ...] = ()
    resources: tuple[Name, ...] = ()


class Analysis(Part):
    """How a question is looked at before the search. `resources` are titles by name, as the documents bear them. The
    words, which may be phrases, decide without a model, and wherever a model gives nothing usable.
    """

    resources: Mapping[Name, Word] = {}
    contract_words: tuple[Word, ...] = ()
    test_words: tuple[Word, ...] = ()
    topics: tuple[Topic, ...] = ()
    by_model: bool = True


class Agent(Part):
    """What a file may say. `passages` and `threshold` replace a bot's own settings where they are given; `sources` are
    kinds of knowledge, none for all; `tools` are those of a bot that names none. `program` is the file of a compiled
    program that lies beside this one.
    """

    id: AgentId
    title: str = Field(min_length=1, max_length=100)
    description: str = Field(min_length=1, max_length=500)
    kind: AgentKind
    prompt: Prose = ""
    sources: tuple[Name, ...] = ()
    passages: int | None = Field(default=None, ge=1, le=20)
    threshold: float | None = Field(default=None, ge=0, le=1)
    tools: tuple[Name, ...] = ()
    templates: Templates = Templates()
    analysis: Analysis | None = None
    program: str = Field(default="", pattern=r"^$|^[a-z0-9_-]+\.json$")
    _compiled: Program = PrivateAttr(default_factory=Program)

    @property
    def compiled(self) -> Program:
        return self._compiled

    def with_program(self, program: Program) -> "Agent":
        """An agent whose program has a query stage looks at the question, whether or not its file says how."""
        changed = self.model_copy(update={"analysis": self.analysis or (Analysis() if program.query else None)})
        changed._compiled = program  # noqa: SLF001 - of our own class
        return changed

    def info(self) -> AgentInfo:
        return AgentInfo(
            id=self.id,
            title=self.title,
            description=self.description,
            kind=self.kind,
            default=self.id == DEFAULT_AGENT,
            sources=list(self.sources),
            passages=(self.compiled.retrieve and self.compiled.retrieve.passages) or self.passages,
            threshold=self.threshold,
            tools=list(self.tools),
            analysis=self.analysis is not None,
        )


@dataclass(frozen=True, slots=True)
class Agents:
    by_id: Mapping[str, Agent]

    def get(self, wanted: str) -> Agent:
        """The default one, with a warning, where there is none of this id: its file may have gone since."""
        found = self.by_id.get(wanted)
        if found is None:
            log.warning("There is no agent %s here; the default one answers", wanted)
            return self.by_id[DEFAULT_AGENT]
        return found

    def listing(self) -> AgentsResponse:
        return AgentsResponse(agents=[agent.info() for agent in self.by_id.values()])


def read_agents(*folders: Path) -> Agents:
    """What a later folder has of an id replaces what an earlier one has. The default agent comes first. Raises
    Misconfigured, which names the file and the field.
    """
    found: dict[str, Agent] = {}
    for folder in folders:
        files = sorted(folder.glob("*.toml")) if folder.is_dir() else []
        if not files:
            raise Misconfigured(f"{folder} has no agents: no file in it ends in .toml")
        found |= {agent.id: agent for agent in map(_read, files)}
    if DEFAULT_AGENT not in found:
        raise Misconfigured(f"There is no agent {DEFAULT_AGENT}: {DEFAULT_AGENT}.toml is missing")
    return Agents(dict(sorted(found.items(), key=lambda item: (item[0] != DEFAULT_AGENT, item[0]))))


def _read(file: Path) -> Agent:
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Misconfigured(f"{file} cannot be read: {error}") from error
    try:
        _AN_ID.validate_python(file.stem)
        agent = Agent.model_validate(told)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "its name"
        raise Misconfigured(f"{file}: {place}: {problem['msg']}") from error
    if agent.id != file.stem:
        raise Misconfigured(f"{file}: id: must be {file.stem}, as the file is called")
    _check_resources(file, agent)
    if not agent.program:
        return agent
    return agent.with_program(read_program(file.with_name(agent.program)))


def _check_resources(file: Path, agent: Agent) -> None:
    for place, topic in enumerate(agent.analysis.topics if agent.analysis else ()):
        for unknown in set(topic.resources) - set(agent.analysis.resources if agent.analysis else ()):
            raise Misconfigured(f"{file}: analysis.topics.{place}.resources: {unknown} is not in analysis.resources")
