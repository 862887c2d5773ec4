"""The passages that fit a question best, by meaning and by words, as ids and scores: their text stays where it belongs,
with the backend.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from agent_service.contract import Hit, RetrieveAcrossRequest, RetrieveRequest, RetrieveResponse, Usage
from agent_service.pipeline.answering import Speaker
from agent_service.pipeline.embedding import checked
from agent_service.pipeline.fusing import best_of, scored
from agent_service.pipeline.languages import UNKNOWN
from agent_service.pipeline.lexical import MOST_LANGUAGES, asked
from agent_service.pipeline.rewriting import Standing, by_model, by_words
from agent_service.pipeline.spelling import respelled
from agent_service.pipeline.storing import LexicalShelf, Reader, Shelf
from agent_service.pipeline.tokens import no_usage
from agent_service.ports import Found, Lexicon, Ranked, Vector

POOL = 100
"""Hits of each ranking that are fused."""
USUAL_NEARNESS = 0.38
"""Of a passage that answers, where the vectors cannot be asked."""
TRUSTED_SHARE = 0.5
"""An embedder that weighs more than the words also vouches for what it finds without them."""
RESPELLED = 0.9
"""What the confidence counts of a search for words that the question may have meant."""
UNSURE = 0.4
"""A confidence below which a word that no passage has may be misspelt: what is found surely is not looked for again."""


@dataclass(frozen=True, slots=True)
class Words:
    """What the words find; no `ranked` where they cannot be asked: no index, nothing stored, a question of joining
    words alone. `beside` are the rankings of further search terms.
    """

    lexicon: Lexicon | None = None
    ranked: Ranked | None = None
    beside: Sequence[Ranked] = ()
    milliseconds: float = 0.0

    @property
    def language(self) -> str:
        return self.lexicon.languages[0] if self.lexicon else UNKNOWN

    @property
    def namespaces(self) -> list[str]:
        """Of what was found, where many were asked."""
        rankings = [*([self.ranked] if self.ranked else []), *self.beside]
        return list(dict.fromkeys(name for ranked in rankings for name in ranked.namespaces))


@dataclass(frozen=True, slots=True)
class Meaning:
    hits: list[Found] = field(default_factory=list)
    usage: Usage | None = None
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Searched:
    """One question and all that was found for it; `share` is that of the words."""

    query: str
    words: Words
    meaning: Meaning
    share: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where to search by meaning: one namespace, or many of one embedding."""

    reader: Reader
    nearest: Callable[[Vector, int], Awaitable[list[Found]]]


async def retrieve(
    request: RetrieveRequest, *, namespace: str, reader: Reader, shelf: Shelf, speaker: Speaker | None = None
) -> RetrieveResponse:
    """`speaker` is asked to rewrite the question, where the request wants a model to."""
    standing, rewrite = await standing_of(request, speaker)
    pool = max(POOL, request.limit)
    narrowed = () if request.documents is None else (request.documents,)

    async def lexicon(lexical: LexicalShelf) -> Lexicon | None:
        return await lexical.upstream.call(lambda: lexical.index.lexicon(namespace), lexical.limits)

    async def nearest(vector: Vector, limit: int) -> list[Found]:
        return await shelf.upstream.call(lambda: shelf.store.search(namespace, vector, limit, *narrowed), shelf.limits)

    async def searched(query: str) -> Searched:
        terms = (*request.terms, *standing.terms)
        finding = by_terms(query, terms, lexicon, shelf.lexical, pool, request.documents)
        words, meaning = await _both(finding, request, query, Place(reader, nearest), pool)
        share = reader.embedder.lexical_share(words.language)
        return Searched(query, words, meaning, share, confidence(words.ranked, meaning.hits, share))

    first = await searched(standing.query)
    meant = await _meant(first, shelf.lexical) if _may_be_misspelt(first) else first.query
    best = first if meant == first.query else _surer(first, await searched(meant))
    if best is not first:
        standing = replace(standing, query=best.query, by="words" if standing.by == "none" else standing.by)
    words, meaning, share = best.words, best.meaning, best.share
    told = scored(
        words.ranked.hits if words.ranked else [],
        meaning.hits,
        lexical_share=share,
        pool=pool,
        beside=[ranked.hits for ranked in words.beside],
    )
    return answered(
        request,
        standing,
        hits=best_of([told], request.limit),
        confidence=best.confidence,
        usage=meaning.usage or no_usage(reader.embedder.id.rpartition(":")[0]),
        timings=rewrite | meaning.timings | {"lexical_ms": words.milliseconds},
    )


def _surer(first: Searched, respelled: Searched) -> Searched:
    if respelled.confidence <= first.confidence:
        return first
    return replace(respelled, confidence=max(first.confidence, round(RESPELLED * respelled.confidence, 4)))


def _may_be_misspelt(searched: Searched) -> bool:
    """Only where the words lead: an embedder that vouches by itself reads a misspelt word as well."""
    ranked = searched.words.ranked
    unsure = searched.confidence < UNSURE and searched.share >= TRUSTED_SHARE
    return unsure and ranked is not None and bool(ranked.missing)


async def _meant(searched: Searched, lexical: LexicalShelf | None) -> str:
    words = searched.words
    lexicon, ranked = words.lexicon, words.ranked
    if lexical is None or lexicon is None or ranked is None:
        return searched.query

    async def counts(terms: Sequence[int]) -> Mapping[int, int]:
        return await lexical.upstream.call(lambda: lexical.index.chunks_with(lexicon, terms), lexical.limits)

    return await respelled(searched.query, lexicon.languages[:MOST_LANGUAGES], ranked.missing, counts)


async def standing_of(
    request: RetrieveRequest | RetrieveAcrossRequest, speaker: Speaker | None
) -> tuple[Standing, dict[str, float]]:
    """The question as it is to be searched, and how long that took, where anything was to be done."""
    if request.rewriting == "none":
        return Standing(request.query), {}
    started = time.perf_counter()
    if request.rewriting == "model" and speaker:
        standing = await by_model(request.query, request.history, speaker)
    else:
        standing = by_words(request.query, request.history)
    return standing, {"rewrite_ms": milliseconds_since(started)}


async def _both(
    finding: Coroutine[Any, Any, Words], request: RetrieveRequest, query: str, place: Place, pool: int
) -> tuple[Words, Meaning]:
    """At the same time."""
    if request.lexical_only:
        return await finding, Meaning()
    asking = asyncio.create_task(finding)
    try:
        meaning = await by_meaning(query, place, pool)
        words = await asking
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    return words, meaning


async def by_terms(
    query: str,
    terms: Sequence[str],
    lexicon_of: Callable[[LexicalShelf], Awaitable[Lexicon | None]],
    lexical: LexicalShelf | None,
    pool: int,
    documents: Sequence[UUID] | None = None,
) -> Words:
    if lexical is None:
        return Words()
    started = time.perf_counter()
    lexicon = await lexicon_of(lexical)
    if lexicon is None:
        return Words(milliseconds=milliseconds_since(started))
    rankings = await asyncio.gather(*(_ranked(text, lexicon, lexical, pool, documents) for text in (query, *terms)))
    beside = [ranked for ranked in rankings[1:] if ranked]
    return Words(lexicon, rankings[0], beside, milliseconds_since(started))


async def _ranked(
    text: str, lexicon: Lexicon, lexical: LexicalShelf, pool: int, documents: Sequence[UUID] | None
) -> Ranked | None:
    terms = asked(text, lexicon.languages[:MOST_LANGUAGES])
    if not terms:
        return None
    narrowed = () if documents is None else (documents,)
    return await lexical.upstream.call(lambda: lexical.index.search(lexicon, terms, pool, *narrowed), lexical.limits)


async def by_meaning(query: str, place: Place, pool: int) -> Meaning:
    started = time.perf_counter()
    reader = place.reader
    embedder = reader.embedder
    embedded = await reader.upstream.call(lambda: embedder.embed_query(query), reader.query_limits)
    embedded = checked(embedded, embedding=embedder.id, count=1, dimension=embedder.dimension)
    embed_ms, searched = milliseconds_since(started), time.perf_counter()
    hits = await place.nearest(embedded.vectors[0], pool)
    timings = {"embed_ms": embed_ms, "search_ms": milliseconds_since(searched)}
    return Meaning(hits, embedded.usage, timings)


def answered(
    request: RetrieveRequest | RetrieveAcrossRequest,
    standing: Standing,
    *,
    hits: list[Hit],
    confidence: float,
    usage: Usage,
    timings: dict[str, float],
) -> RetrieveResponse:
    return RetrieveResponse(
        hits=hits,
        confidence=confidence,
        usage=usage,
        timings=timings,
        query=standing.query,
        terms=[*request.terms, *standing.terms],
        rewritten=standing.by,
        rewriting=standing.usage,
        degraded=request.lexical_only,
    )


def confidence(ranked: Ranked | None, dense: Sequence[Found], share: float) -> float:
    """Half of it is the words, the other half how near the nearest passage and that of the best words are: a passage
    that has a question's words by chance is seldom near it."""
    if ranked is None:
        return 1.0
    if not dense:
        return round(min(1.0, (ranked.confidence + USUAL_NEARNESS) / 2), 4) if ranked.hits else 0.0
    nearest = max(0.0, dense[0].score)
    sure = (ranked.confidence + (nearest + _nearness(ranked.hits[:1], dense)) / 2) / 2
    return round(min(1.0, sure if share >= TRUSTED_SHARE else max(sure, nearest)), 4)


def _nearness(best: Sequence[Found], dense: Sequence[Found]) -> float:
    """Of the passage that the words find best; one that is behind the others is as near as the last of them."""
    if not best:
        return 0.0
    wanted = best[0].chunk
    return max(0.0, next((hit.score for hit in dense if hit.chunk == wanted), dense[-1].score))


def milliseconds_since(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 3)
