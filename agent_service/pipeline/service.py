"""The catalogue together with how each part of it is called: limits, retries and breakers, one of each per upstream."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from agent_service.contract import (
    ChatRequest,
    CountTokensRequest,
    CountTokensResponse,
    NamespaceSet,
    ProcessRequest,
    ProvidersResponse,
    ReadyResponse,
    RerankRequest,
    RetrieveAcrossRequest,
    RetrieveRequest,
)
from agent_service.errors import AgentServiceError, UpstreamError
from agent_service.pipeline.across import NamespaceSets, Shelves
from agent_service.pipeline.agents.analysing import templates_for
from agent_service.pipeline.agents.quoting import passages_as_they_are
from agent_service.pipeline.agents.registry import Agent, Agents
from agent_service.pipeline.agents.stepping import ProcessEvent, Results, process
from agent_service.pipeline.answering import Event, Speaker, answer
from agent_service.pipeline.calling import Limits, Policy, Upstream
from agent_service.pipeline.catalogue import Catalogue
from agent_service.pipeline.reranking import LEXICAL as LEXICAL_RERANKER
from agent_service.pipeline.storing import LexicalShelf, Reader, Shelf, Turnstile
from agent_service.pipeline.tokens import estimated_tokens
from agent_service.ports import Prompt, TokenCounter
from agent_service.settings import Settings

log = logging.getLogger(__name__)

LEXICAL = "lexical index"


@dataclass(frozen=True, slots=True)
class Service:
    settings: Settings
    catalogue: Catalogue
    agents: Agents
    turnstile: Turnstile = field(default_factory=Turnstile)
    namespace_sets: NamespaceSets = field(default_factory=NamespaceSets)
    _upstreams: dict[str, Upstream] = field(default_factory=dict)

    def speaker(self, model_id: str) -> Speaker:
        """Raises UnknownModel."""
        settings = self.settings
        limits = Limits(
            total=settings.model_total_seconds,
            retries=settings.model_retries,
            first=settings.model_first_byte_seconds,
            idle=settings.model_idle_seconds,
        )
        facts = self.catalogue.facts_of(model_id)
        return Speaker(
            self.catalogue.chat_model(model_id),
            self._upstream(model_id),
            limits,
            sees="vision" in facts.abilities,
            max_output_tokens=facts.max_output_tokens,
        )

    def brief(self, model_id: str | None, seconds: float) -> Speaker | None:
        """A model, the default one where none is named, for a short call that is done without where it fails: within
        so many seconds, and never tried again. None where it is not offered here.
        """
        wanted = model_id or self.catalogue.default_chat_model
        if wanted not in self.catalogue.chat_models:
            return None
        return replace(self.speaker(wanted), limits=Limits(seconds))

    def rewriter(self, request: RetrieveRequest | RetrieveAcrossRequest) -> Speaker | None:
        if request.rewriting != "model":
            return None
        return self.brief(request.model, self.settings.model_rewrite_seconds)

    def reranker(self, request: RerankRequest) -> Speaker | None:
        """None for the one that needs no model. Raises UnknownModel."""
        if request.reranker == LEXICAL_RERANKER:
            return None
        self.catalogue.chat_model(request.reranker)
        return self.brief(request.reranker, self.settings.model_rerank_seconds)

    def shelves(self, request: RetrieveAcrossRequest) -> Shelves:
        """Raises UnknownNamespaces, UnknownEmbedding and Forbidden."""
        by_embedding: dict[str, list[NamespaceSet]] = {}
        for told in request.sets:
            by_embedding.setdefault(told.embedding, []).append(told)
        names = [self.namespace_sets.together(sets) for sets in by_embedding.values()]
        return Shelves(names, self.namespace_sets.together(request.sets), [self.reader(one) for one in by_embedding])

    def speakers(self, request: ChatRequest) -> list[Speaker]:
        """The model, then its fallbacks; those that are no longer offered are left out. Raises UnknownModel where the
        model itself is none.
        """
        known = [fallback for fallback in request.fallbacks if fallback in self.catalogue.chat_models]
        for missing in set(request.fallbacks) - set(known):
            log.warning("The fallback %s of %s is not offered here", missing, request.model)
        return [self.speaker(model_id) for model_id in dict.fromkeys((request.model, *known))]

    def chat(self, request: ChatRequest, *, budget: int | None) -> AsyncGenerator[Event, None]:
        """An answer from the request's passages, by its agent: at once, whatever kind that agent is. Raises
        UnknownModel.
        """
        agent = self.agents.get(request.agent)
        if agent.kind == "passages":
            return passages_as_they_are(request)
        return answer(_dressed(request, agent), speakers=self.speakers(request), budget=budget)

    def process(
        self, request: ProcessRequest, *, results: Results, budget: int | None
    ) -> AsyncGenerator[ProcessEvent, None]:
        """An answer by the request's agent, in steps where it is one that takes them. Raises UnknownModel."""
        agent = self.agents.get(request.agent)
        if agent.kind != "react":
            return self.chat(request, budget=budget)
        loop, speakers = self.catalogue.tool_loop, self.speakers(request)
        return process(_dressed(request, agent), speakers=speakers, loop=loop, results=results, budget=budget)

    async def count_tokens(self, request: CountTokensRequest) -> CountTokensResponse:
        """By the vendor where it counts and answers, otherwise estimated. Raises UnknownModel."""
        model = self.catalogue.chat_model(request.model)
        prompt = Prompt(request.instructions, request.history, request.text, request.text, (), 0.0, 1)
        if isinstance(model, TokenCounter):
            limits = Limits(self.settings.embedding_query_seconds)
            try:
                counted = await self._upstream(model.id).call(lambda: model.count_tokens(prompt), limits)
                return CountTokensResponse(model=model.id, input_tokens=counted, estimated=False)
            except UpstreamError as error:
                log.info("%s did not count tokens: %s", model.id, error.kind)
        texts = (request.instructions, *(turn.text for turn in request.history), request.text)
        return CountTokensResponse(model=model.id, input_tokens=sum(map(estimated_tokens, texts)), estimated=True)

    def providers(self) -> ProvidersResponse:
        return self.catalogue.vendors(lambda name: self._upstream(name).breaker.rest() > 0)

    def reader(self, embedding_id: str) -> Reader:
        """Raises UnknownEmbedding."""
        settings = self.settings
        return Reader(
            embedder=self.catalogue.embedder(embedding_id),
            upstream=self._upstream(embedding_id),
            query_limits=Limits(settings.embedding_query_seconds, settings.embedding_query_retries),
            store_limits=Limits(settings.embedding_store_seconds, settings.embedding_store_retries),
        )

    def shelf(self) -> Shelf:
        settings = self.settings
        return Shelf(
            store=self.catalogue.store,
            upstream=self._upstream(self.catalogue.store_name, self.catalogue.store.at_once),
            limits=Limits(settings.vector_seconds, settings.vector_retries),
            delete_limits=Limits(settings.vector_delete_seconds, settings.vector_retries),
            lexical=self._lexical_shelf(),
        )

    def _lexical_shelf(self) -> LexicalShelf | None:
        if self.catalogue.lexical is None:
            return None
        settings = self.settings
        return LexicalShelf(
            index=self.catalogue.lexical,
            upstream=self._upstream(LEXICAL, self.catalogue.lexical.at_once),
            limits=Limits(settings.vector_seconds, settings.vector_retries),
            delete_limits=Limits(settings.vector_delete_seconds, settings.vector_retries),
        )

    async def warm(self) -> None:
        """Does before the first request what the first request would wait for. A part that is away is no reason not
        to start.
        """
        try:
            await self._check(self.catalogue.store_name, self.catalogue.store.check)
            if self.catalogue.lexical:
                await self._check(LEXICAL, self.catalogue.lexical.check)
            if self.catalogue.default_embedding.startswith("local:"):
                await self.catalogue.embedder(self.catalogue.default_embedding).embed_query("warm")
        except AgentServiceError as error:
            log.error("Not ready: %s (%s)", error.message, error.__cause__ or "no further cause")

    async def ready(self) -> ReadyResponse:
        checks = {
            "vector_store": await self._state(self.catalogue.store_name, self.catalogue.store.check),
            "embedding": self._breaker_state(self.catalogue.default_embedding),
            "chat_model": self._breaker_state(self.catalogue.default_chat_model),
        }
        ready = all(state == "ok" for state in checks.values())
        if self.catalogue.lexical is None:
            return ReadyResponse(ready=ready, checks=checks | {"lexical_index": "off: it needs DATABASE_URL"})
        checks["lexical_index"] = await self._state(LEXICAL, self.catalogue.lexical.check)
        return ReadyResponse(ready=ready and checks["lexical_index"] == "ok", checks=checks)

    async def _state(self, name: str, check: Callable[[], Awaitable[None]]) -> str:
        try:
            await self._check(name, check)
        except AgentServiceError as error:
            return f"{name}: {error.message}"
        return "ok"

    async def _check(self, name: str, check: Callable[[], Awaitable[None]]) -> None:
        """Past the breaker: whether the store answers is the question."""
        await Upstream(name, Policy()).call(check, Limits(self.settings.vector_seconds))

    def _breaker_state(self, name: str) -> str:
        """Ready again when the breaker's rest is over: without requests it would never learn that it may close."""
        return f"{name}: has been failing and is left alone" if self._upstream(name).breaker.rest() > 0 else "ok"

    def _upstream(self, name: str, at_once: int | None = None) -> Upstream:
        settings = self.settings
        if name not in self._upstreams:
            self._upstreams[name] = Upstream(
                name,
                Policy(
                    retry_delay=settings.retry_delay_seconds,
                    budget_ratio=settings.retry_budget_ratio,
                    budget_burst=settings.retry_budget_burst,
                    breaker_failures=settings.breaker_failures,
                    breaker_seconds=settings.breaker_seconds,
                    concurrency=settings.model_concurrency,
                    at_once=at_once,
                ),
            )
        return self._upstreams[name]


Request = TypeVar("Request", bound=ChatRequest)


def _dressed(request: Request, agent: Agent) -> Request:
    """With what the agent adds to the bot's instructions."""
    parts = [*templates_for(agent, request.question), request.instructions.strip()]
    told = request.model_copy(update={"instructions": "\n\n".join(filter(None, parts))})
    return agent.compiled.answer.dressed(told) if agent.compiled.answer else told
