"""A search in many namespaces at once, such as those of all public bots: ranked by words as if they were one, and by
meaning within each embedding.

The names come with the first request and are kept by their hash: ten thousand of them are as large as all passages
that are found.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from agent_service.contract import NamespaceSet, RetrieveAcrossRequest, RetrieveResponse, Usage
from agent_service.errors import Forbidden, UnknownNamespaces
from agent_service.pipeline.answering import Speaker
from agent_service.pipeline.fusing import best_of, scored
from agent_service.pipeline.retrieving import (
    POOL,
    Meaning,
    Place,
    Words,
    answered,
    by_meaning,
    by_terms,
    confidence,
    standing_of,
)
from agent_service.pipeline.storing import LexicalShelf, Reader, Shelf
from agent_service.pipeline.tokens import no_usage
from agent_service.ports import Found, Lexicon, Vector

SETS_KEPT = 256
NAMES_KEPT = 500_000
JOINED_KEPT = 64


@dataclass(slots=True)
class NamespaceSets:
    """Names of namespaces by the hash of their set, the least used forgotten first. The same set is always the same
    tuple."""

    _sets: OrderedDict[str, tuple[str, ...]] = field(default_factory=OrderedDict)
    _joined: OrderedDict[tuple[str, ...], tuple[str, ...]] = field(default_factory=OrderedDict)
    _names: int = 0

    def together(self, sets: Sequence[NamespaceSet]) -> tuple[str, ...]:
        """Of several sets as of one. Raises as `names`."""
        parts = [self.names(told) for told in sets]
        if len(parts) == 1:
            return parts[0]
        key = tuple(told.sha256 for told in sets)
        joined = self._joined.get(key) or tuple(chain.from_iterable(parts))
        self._joined[key] = joined
        self._joined.move_to_end(key)
        if len(self._joined) > JOINED_KEPT:
            self._joined.popitem(last=False)
        return joined

    def names(self, told: NamespaceSet) -> tuple[str, ...]:
        """Raises UnknownNamespaces, and Forbidden for names that are not of the hash."""
        known = self._sets.get(told.sha256)
        if known is None:
            known = self._remembered(told)
        self._sets.move_to_end(told.sha256)
        return known

    def _remembered(self, told: NamespaceSet) -> tuple[str, ...]:
        if told.names is None:
            raise UnknownNamespaces(details={"sha256": told.sha256})
        names = tuple(told.names)
        if sha256_of(names) != told.sha256:
            raise Forbidden("The namespaces are not those of their hash.")
        self._sets[told.sha256] = names
        self._names += len(names)
        while len(self._sets) > 1 and (len(self._sets) > SETS_KEPT or self._names > NAMES_KEPT):
            self._names -= len(self._sets.popitem(last=False)[1])
        return names


def sha256_of(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Shelves:
    """What is searched: the names of each embedding, with what reads it. The same names are the same tuple the next
    time: a store remembers what it knows of it."""

    names: Sequence[tuple[str, ...]]
    all_names: tuple[str, ...]
    readers: Sequence[Reader]

    def first(self, found: Sequence[str]) -> "Shelves":
        """With those first that the words have found: a store may not be able to ask all of them."""
        place = {name: number for number, name in enumerate(found)}
        names = [tuple(sorted(some, key=lambda name: place.get(name, len(place)))) for some in self.names]
        return replace(self, names=names)


async def retrieve_across(
    request: RetrieveAcrossRequest, *, shelves: Shelves, shelf: Shelf, speaker: Speaker | None = None
) -> RetrieveResponse:
    standing, rewrite = await standing_of(request, speaker)
    pool = max(POOL, request.limit)
    terms = (*request.terms, *standing.terms)
    names = shelves.all_names

    async def lexicon(lexical: LexicalShelf) -> Lexicon | None:
        return await lexical.upstream.call(lambda: lexical.index.lexicon_of(names), lexical.limits)

    finding = by_terms(standing.query, terms, lexicon, shelf.lexical, pool, request.documents)
    most = shelf.store.most_namespaces
    if most is not None and len(names) > most:
        words = await finding
        shelves = shelves.first(words.namespaces)
        meanings = await _meanings(request, standing.query, shelves, shelf, pool)
    else:
        words, meanings = await asyncio.gather(finding, _meanings(request, standing.query, shelves, shelf, pool))
    told = [
        scored(
            words.ranked.hits if words.ranked else [],
            meaning.hits,
            lexical_share=reader.embedder.lexical_share(words.language),
            pool=pool,
            beside=[ranked.hits for ranked in words.beside],
        )
        for reader, meaning in zip(shelves.readers, meanings, strict=True)
    ]
    return answered(
        request,
        standing,
        hits=best_of(told, request.limit),
        confidence=max(_confidences(words, shelves, meanings)),
        usage=_usage(shelves, meanings),
        timings=rewrite | _timings(meanings) | {"lexical_ms": words.milliseconds},
    )


async def _meanings(
    request: RetrieveAcrossRequest, query: str, shelves: Shelves, shelf: Shelf, pool: int
) -> list[Meaning]:
    """One for each embedding; no embedder is asked where the words alone are wanted."""
    if request.lexical_only:
        return [Meaning() for _ in shelves.names]
    places = [
        _place(names, reader, shelf, request) for names, reader in zip(shelves.names, shelves.readers, strict=True)
    ]
    return await asyncio.gather(*(by_meaning(query, place, pool) for place in places))


def _place(names: tuple[str, ...], reader: Reader, shelf: Shelf, request: RetrieveAcrossRequest) -> Place:
    narrowed = () if request.documents is None else (request.documents,)

    async def nearest(vector: Vector, limit: int) -> list[Found]:
        return await shelf.upstream.call(lambda: shelf.store.search_many(names, vector, limit, *narrowed), shelf.limits)

    return Place(reader, nearest)


def _confidences(words: Words, shelves: Shelves, meanings: Sequence[Meaning]) -> list[float]:
    return [
        confidence(words.ranked, meaning.hits, reader.embedder.lexical_share(words.language))
        for reader, meaning in zip(shelves.readers, meanings, strict=True)
    ]


def _usage(shelves: Shelves, meanings: Sequence[Meaning]) -> Usage:
    """Of the first embedder; its tokens are of all of them."""
    used = [meaning.usage for meaning in meanings if meaning.usage]
    if not used:
        return no_usage(shelves.readers[0].embedder.id.rpartition(":")[0])
    return used[0].model_copy(update={"input_tokens": sum(usage.input_tokens for usage in used)})


def _timings(meanings: Sequence[Meaning]) -> dict[str, float]:
    """The slowest of each: they run at once."""
    names = dict.fromkeys(name for meaning in meanings for name in meaning.timings)
    return {name: max(meaning.timings.get(name, 0.0) for meaning in meanings) for name in names}
