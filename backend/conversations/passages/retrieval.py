"""The one way from a question to the passages that may answer it: for chat, for search, for tools and for programs.

The agent searches and gives ids and scores. Which of them may be shown, and their text, say the rows; then repetitions
go, a reranker and diversity have their say where the bot's owner wants it, and the passages around are added.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import UUID

from agent_service import contract
from backend.agent_client import AgentClient, AgentError, Scope
from backend.bots.models import Bot, BotVersion, Rewriting
from backend.conversations.passages import filtering
from backend.conversations.passages.choosing import diverse, without_repetitions
from backend.conversations.passages.filtering import EVERYTHING, NO_FILTERS, Filters, Narrowed
from backend.core.database import Database, in_database
from backend.curated import answers as curated
from backend.documents.passages import SPARE_HITS, Bots, LivePassage, live_passages, widened

HISTORY_TURNS = 6
HISTORY_CHARS = 2_000
"""Of a turn, for the rewriting of a question that follows it."""
MORE_HITS = 4
"""Times as many, where what was found may not be shown or is filtered out."""
SPARE_FILTERED = 12
RERANKED = 40
RERANKED_CHARS = 600
"""Of each passage, that a model reads; see `agent_service.pipeline.reranking`."""
SPARE_DIVERSE = 3
REWRITING_CHARS = 3_000
SEARCH_OUTPUT_TOKENS = 300
"""The most that rewriting and reranking together let a model write."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """`passages` are final and best first. `confidence` is 0 to 1: how sure it is that something here answers, by the
    question's weighted words. `query` is what was searched, empty where that is the question as it was asked, and
    `terms` what was searched beside it. `usage` is of the models that were asked for it; `notes` tell what was left
    out or failed, in words of a program."""

    passages: list[LivePassage]
    confidence: float = 0.0
    query: str = ""
    terms: Sequence[str] = ()
    timings: dict[str, float] = field(default_factory=dict)
    usage: Sequence[contract.Usage] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Searched:
    """What the agent has found, and by what."""

    hits: Sequence[contract.Hit]
    answer: contract.RetrieveResponse
    whole: bool
    """Whether there is nothing behind the last hit."""


class Search(Protocol):
    """Asks the agent for so many; again with more where that was not enough."""

    async def __call__(
        self, limit: int, documents: list[UUID] | None, again: contract.RetrieveResponse | None
    ) -> Searched: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search, whichever bots it is of: one's or many's. `asks_models` is false where nobody pays for one."""

    bots: Callable[[], Bots]
    version: BotVersion
    question: str
    filters: Filters
    limit: int
    many: bool = False
    asks_models: bool = True
    database: Database = in_database


async def retrieve(
    agent: AgentClient,
    *,
    bot: Bot,
    version: BotVersion,
    question: str,
    user: UUID,
    history: Sequence[contract.Turn] = (),
    filters: Filters = NO_FILTERS,
    limit: int | None = None,
    lexical_only: bool = False,
    asks_models: bool = True,
    database: Database = in_database,
) -> Retrieval:
    """In one bot, whose embedding is settled. Raises AgentError."""
    scope = Scope(user=user, bot=bot.pk, namespace=bot.namespace)
    request = contract.RetrieveRequest(
        embedding=bot.embedding,
        query=question,
        limit=1,
        lexical_only=lexical_only,
        agent=version.agent,
        **rewriting_of(version, history, asks_models=asks_models),
    )

    async def search(limit: int, documents: list[UUID] | None, again: contract.RetrieveResponse | None) -> Searched:
        asked = request.model_copy(
            update={"limit": limit, "documents": documents} | (as_before(again) if again else {})
        )
        answer = await agent.retrieve(asked, scope=scope)
        return Searched(answer.hits, answer, whole=len(answer.hits) < limit)

    wanted = Wanted(
        bots=lambda: bot,
        version=version,
        question=question,
        filters=filters,
        limit=limit or version.top_k,
        asks_models=asks_models,
        database=database,
    )
    return await found(agent, wanted, search, scope)


async def found(agent: AgentClient, wanted: Wanted, search: Search, scope: Scope) -> Retrieval:
    """The whole way, for one bot and for many alike."""
    stages = _Stages()
    narrowed = await _narrowed(wanted, stages)
    if narrowed.leaves_nothing:
        return Retrieval([], timings=stages.timings, notes=[*narrowed.notes, "filters_leave_nothing"])
    answer, candidates = await _candidates(wanted, search, narrowed, stages)
    if not candidates and narrowed.drawn:
        narrowed = await wanted.database(filtering.without_drawn, given=narrowed, bots=wanted.bots())
        answer, candidates = await _candidates(wanted, search, narrowed, stages)
    usage = [answer.rewriting] if answer.rewriting else []
    notes = [*narrowed.notes, *(f"drawn_{name}" for name in narrowed.drawn), *_notes_of(wanted, answer)]
    near = [passage for passage in candidates if passage.score >= wanted.version.threshold]
    query = answer.query or wanted.question
    if _reranker(wanted) and len(near) > 1:
        near = await _reranked(agent, wanted, query, near, scope, stages, usage, notes)
    passages = await _widened(wanted, near, stages)
    return Retrieval(
        passages=passages,
        confidence=answer.confidence,
        query="" if query == wanted.question else query,
        terms=answer.terms,
        timings=stages.timings,
        usage=usage,
        notes=notes,
    )


def rewriting_of(version: BotVersion, history: Sequence[contract.Turn], *, asks_models: bool) -> dict[str, Any]:
    """The fields of a request that say how its question comes to stand alone."""
    way = Rewriting(version.rewriting).value
    if way == Rewriting.MODEL and not asks_models:
        way = Rewriting.WORDS.value
    if way == Rewriting.NONE or not (history or way == Rewriting.MODEL):
        return {}
    turns = [turn.model_copy(update={"text": turn.text[:HISTORY_CHARS]}) for turn in history[-HISTORY_TURNS:]]
    return {"rewriting": way, "history": turns, "model": version.model or None}


def as_before(answer: contract.RetrieveResponse) -> dict[str, Any]:
    """What a further request of the same question need not find out again."""
    rewritten = {"query": answer.query} if answer.query else {}
    return rewritten | {"terms": answer.terms, "rewriting": "none", "history": [], "model": None}


def search_ceiling_chars(version: BotVersion, question: str) -> int:
    """The most characters that models may be given for a search, beside what the answer itself is given."""
    rewriting = REWRITING_CHARS + HISTORY_TURNS * HISTORY_CHARS + len(question)
    reranking = REWRITING_CHARS + RERANKED * RERANKED_CHARS + len(question)
    by_model = version.rerank not in ("", "lexical")
    return (version.rewriting == Rewriting.MODEL) * rewriting + by_model * reranking


async def _narrowed(wanted: Wanted, stages: "_Stages") -> Narrowed:
    draws = wanted.version.draw_filters
    if not (wanted.filters or draws):
        return EVERYTHING
    with stages.timed("filter_ms"):
        narrowed: Narrowed = await wanted.database(
            filtering.narrowed,
            bots=wanted.bots(),
            filters=wanted.filters,
            question=wanted.question if draws else "",
        )
    return narrowed


async def _candidates(
    wanted: Wanted, search: Search, narrowed: Narrowed, stages: "_Stages"
) -> tuple[contract.RetrieveResponse, list[LivePassage]]:
    """As many as may be needed, asking for more where too many of the hits may not be shown."""
    enough = _enough(wanted)
    limit = min(contract.MAX_HITS, wanted.limit * (SPARE_FILTERED if wanted.filters.of_pages else SPARE_HITS))
    answer: contract.RetrieveResponse | None = None
    while True:
        with stages.timed("search_request_ms"):
            searched = await search(max(limit, enough), narrowed.documents, answer)
        answer = _joined(answer, searched.answer)
        stages.add(searched.answer.timings)
        with stages.timed("passages_ms"):
            passages = await wanted.database(
                _shown, wanted=wanted, hits=searched.hits, enough=enough, filters=wanted.filters
            )
        if len(passages) >= wanted.limit or searched.whole or limit >= contract.MAX_HITS:
            return answer, passages
        limit = min(contract.MAX_HITS, limit * MORE_HITS)


def _joined(first: contract.RetrieveResponse | None, answer: contract.RetrieveResponse) -> contract.RetrieveResponse:
    """What the first request has told of the question stays."""
    if first is None:
        return answer
    told = {name: getattr(first, name) for name in ("query", "terms", "rewritten", "rewriting")}
    return answer.model_copy(update=told)


def _shown(*, wanted: Wanted, hits: Sequence[contract.Hit], enough: int, filters: Filters) -> list[LivePassage]:
    """What may be answered from at this moment, best first."""
    live = live_passages(bot=wanted.bots(), hits=hits, wanted=filters.passages(), named=wanted.many)
    return without_repetitions(curated.still_said(live), limit=enough)


def _enough(wanted: Wanted) -> int:
    """So many are taken on, for the stages that choose among them."""
    version = wanted.version
    if _reranker(wanted):
        return max(RERANKED, wanted.limit)
    if version.diversity < 1 or version.neighbours:
        return wanted.limit * SPARE_DIVERSE
    return wanted.limit


def _reranker(wanted: Wanted) -> str:
    reranker = wanted.version.rerank
    return "" if not wanted.asks_models and reranker != "lexical" else reranker


def _notes_of(wanted: Wanted, answer: contract.RetrieveResponse) -> Iterator[str]:
    if answer.degraded:
        yield "lexical_only"
    if answer.rewritten != "none":
        yield f"rewritten_by_{answer.rewritten}"
    if wanted.version.rewriting == Rewriting.MODEL and wanted.asks_models and answer.rewritten != "model":
        yield "rewriting_failed"


async def _reranked(
    agent: AgentClient,
    wanted: Wanted,
    query: str,
    passages: list[LivePassage],
    scope: Scope,
    stages: "_Stages",
    usage: list[contract.Usage],
    notes: list[str],
) -> list[LivePassage]:
    """As they were, where the reranker fails: that is no reason not to answer."""
    first, rest = passages[: contract.MAX_RERANKED], passages[contract.MAX_RERANKED :]
    request = contract.RerankRequest(
        reranker=_reranker(wanted),
        query=query,
        passages=[
            contract.RerankPassage(id=one.chunk_id, title=one.document_title, text=one.text, score=one.score)
            for one in first
        ],
    )
    with stages.timed("rerank_ms"):
        try:
            answer = await agent.rerank(request, scope=scope)
        except AgentError as error:
            notes.append(f"rerank_failed:{error.code}")
            return passages
    if answer.usage.input_tokens and request.reranker != "lexical":
        usage.append(answer.usage)
    if answer.failed:
        notes.append("rerank_failed")
        return passages
    known = {one.chunk_id: one for one in first}
    order = [replace(known[one.id], score=one.score) for one in answer.passages if one.id in known]
    return [*order, *rest]


async def _widened(wanted: Wanted, passages: list[LivePassage], stages: "_Stages") -> list[LivePassage]:
    version = wanted.version
    if not version.neighbours:
        return diverse(passages, weight=version.diversity, limit=wanted.limit)
    chosen = diverse(passages, weight=version.diversity, limit=wanted.limit * SPARE_DIVERSE)
    with stages.timed("neighbours_ms"):
        whole: list[LivePassage] = await wanted.database(
            widened, passages=chosen, neighbours=version.neighbours, limit=wanted.limit
        )
    return whole


class _Stages:
    """Milliseconds of each stage; of one that ran twice, together."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}

    def add(self, timings: dict[str, float]) -> None:
        for name, milliseconds in timings.items():
            self.timings[name] = round(self.timings.get(name, 0.0) + milliseconds, 3)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add({name: (time.perf_counter() - started) * 1000})
