"""The models and embeddings that the agent offers, remembered for a while: every answer needs to know them."""

import logging
import time
from collections.abc import Sequence
from threading import Lock

from asgiref.sync import async_to_sync

from agent_service.contract import DEFAULT_AGENT, AgentInfo, ModelsResponse
from backend import agent_client
from backend.agent_client import AgentError, AgentRefused
from backend.bots.errors import AgentUnknown, ModelUnknown

FRESH_SECONDS = 30.0

PLAIN = AgentInfo(id=DEFAULT_AGENT, title=DEFAULT_AGENT, description="", kind="rag", default=True)

logger = logging.getLogger(__name__)


class Catalogue:
    def __init__(self) -> None:
        self._lock = Lock()
        self._offer: ModelsResponse | None = None
        self._agents: list[AgentInfo] = []
        self._asked = 0.0

    def offer(self) -> ModelsResponse:
        """At most FRESH_SECONDS old, older while the agent does not answer; raises AgentError where it never did."""
        with self._lock:
            if self._offer is None or time.monotonic() - self._asked > FRESH_SECONDS:
                self._refresh()
            assert self._offer is not None  # noqa: S101 - _refresh raises otherwise
            return self._offer

    def model(self, wanted: str) -> str:
        """The id of `wanted`, or of the deployment's default where that is empty; raises ModelUnknown."""
        for model in self.offer().models:
            if model.id == wanted or (not wanted and model.default):
                return model.id
        raise ModelUnknown(details={"model": wanted})

    def offered(self, wanted: Sequence[str]) -> list[str]:
        """Those of `wanted` that the agent offers now."""
        known = {model.id for model in self.offer().models} if wanted else set()
        return [model for model in wanted if model in known]

    def agents(self) -> list[AgentInfo]:
        self.offer()
        return self._agents

    def check_agent(self, wanted: str) -> None:
        """Raises AgentUnknown."""
        if not any(agent.id == wanted for agent in self.agents()):
            raise AgentUnknown(details={"agent": wanted})

    def agent(self, wanted: str) -> AgentInfo:
        """The default one where there is none of this id any more, as the agent service does."""
        agents = {agent.id: agent for agent in self.agents()}
        found = agents.get(wanted)
        if found is None:
            logger.warning("There is no agent %s; the default one answers", wanted)
            return agents.get(DEFAULT_AGENT, PLAIN)
        return found

    def embedding(self) -> str:
        return next(embedding.id for embedding in self.offer().embeddings if embedding.default)

    def offers_embedding(self, wanted: str) -> bool:
        return any(embedding.id == wanted for embedding in self.offer().embeddings)

    def forget(self) -> None:
        self._offer = None

    def _refresh(self) -> None:
        try:
            self._offer, self._agents = async_to_sync(_ask)()
        except AgentError:
            if self._offer is None:
                raise
        self._asked = time.monotonic()


async def _ask() -> tuple[ModelsResponse, list[AgentInfo]]:
    async with agent_client.connect() as agent:
        offer = await agent.models()
        try:
            agents = (await agent.agents()).agents
        except AgentRefused:  # it is of the release before, for as long as an update takes
            agents = [PLAIN]
        return offer, agents


catalogue = Catalogue()
