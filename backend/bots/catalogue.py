"""The models and embeddings that the agent offers, remembered for a while: every answer needs to know them."""

import time
from threading import Lock

from asgiref.sync import async_to_sync

from agent_service.contract import ModelsResponse
from backend import agent_client
from backend.agent_client import AgentError
from backend.bots.errors import ModelUnknown

FRESH_SECONDS = 30.0


class Catalogue:
    def __init__(self) -> None:
        self._lock = Lock()
        self._offer: ModelsResponse | None = None
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

    def embedding(self) -> str:
        return next(embedding.id for embedding in self.offer().embeddings if embedding.default)

    def offers_embedding(self, wanted: str) -> bool:
        return any(embedding.id == wanted for embedding in self.offer().embeddings)

    def forget(self) -> None:
        self._offer = None

    def _refresh(self) -> None:
        try:
            self._offer = async_to_sync(_ask)()
        except AgentError:
            if self._offer is None:
                raise
        self._asked = time.monotonic()


async def _ask() -> ModelsResponse:
    async with agent_client.connect() as agent:
        return await agent.models()


catalogue = Catalogue()
