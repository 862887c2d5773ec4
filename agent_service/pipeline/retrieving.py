"""The passages that fit a question best, by meaning and by words, as ids and scores: their text stays where it belongs,
with the backend.
"""

import asyncio
import time
from dataclasses import dataclass, field

from agent_service.contract import Hit, RetrieveRequest, RetrieveResponse, Usage
from agent_service.pipeline.embedding import checked
from agent_service.pipeline.fusing import fused
from agent_service.pipeline.languages import UNKNOWN
from agent_service.pipeline.lexical import MOST_LANGUAGES, asked
from agent_service.pipeline.storing import LexicalShelf, Reader, Shelf
from agent_service.ports import Ranked

POOL = 100
"""Hits of each ranking that are fused."""
NEARNESS = 0.3
"""What the nearest passage's similarity adds to the confidence, beside what its words give."""
TRUSTED_SHARE = 0.5
"""An embedder that weighs more than the words also vouches for what it finds without them."""


@dataclass(frozen=True, slots=True)
class _Words:
    """What the words find; no `ranked` where they cannot be asked: no index, nothing stored, a question of joining
    words alone.
    """

    language: str = UNKNOWN
    ranked: Ranked | None = None
    milliseconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Meaning:
    hits: list[Hit]
    usage: Usage
    timings: dict[str, float] = field(default_factory=dict)


async def retrieve(request: RetrieveRequest, *, namespace: str, reader: Reader, shelf: Shelf) -> RetrieveResponse:
    pool = max(POOL, request.limit)
    asking = asyncio.create_task(_by_words(request.query, namespace, shelf.lexical, pool))
    try:
        dense = await _by_meaning(request.query, namespace, reader, shelf, pool)
        words = await asking
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    share = reader.embedder.lexical_share(words.language)
    lexical = words.ranked.hits if words.ranked else []
    return RetrieveResponse(
        hits=fused(lexical, dense.hits, lexical_share=share, pool=pool, limit=request.limit),
        confidence=_confidence(words.ranked, dense.hits, share),
        usage=dense.usage,
        timings=dense.timings | {"lexical_ms": words.milliseconds},
    )


async def _by_words(query: str, namespace: str, lexical: LexicalShelf | None, pool: int) -> _Words:
    if lexical is None:
        return _Words()
    started = time.perf_counter()
    index = lexical.index
    lexicon = await lexical.upstream.call(lambda: index.lexicon(namespace), lexical.limits)
    if lexicon is None:
        return _Words(milliseconds=_milliseconds_since(started))
    terms = asked(query, lexicon.languages[:MOST_LANGUAGES])
    ranked = await lexical.upstream.call(lambda: index.search(lexicon, terms, pool), lexical.limits) if terms else None
    return _Words(lexicon.languages[0], ranked, _milliseconds_since(started))


async def _by_meaning(query: str, namespace: str, reader: Reader, shelf: Shelf, pool: int) -> _Meaning:
    started = time.perf_counter()
    embedder = reader.embedder
    embedded = await reader.upstream.call(lambda: embedder.embed_query(query), reader.query_limits)
    embedded = checked(embedded, embedding=embedder.id, count=1, dimension=embedder.dimension)
    embed_ms, searched = _milliseconds_since(started), time.perf_counter()
    hits = await shelf.upstream.call(lambda: shelf.store.search(namespace, embedded.vectors[0], pool), shelf.limits)
    timings = {"embed_ms": embed_ms, "search_ms": _milliseconds_since(searched)}
    return _Meaning(hits, embedded.usage, timings)


def _confidence(ranked: Ranked | None, dense: list[Hit], share: float) -> float:
    if ranked is None:
        return 1.0
    nearest = max(0.0, dense[0].score) if dense else 0.0
    sure = (ranked.confidence + NEARNESS * nearest) / (1 + NEARNESS)
    return round(min(1.0, sure if share >= TRUSTED_SHARE else max(sure, nearest)), 4)


def _milliseconds_since(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 3)
