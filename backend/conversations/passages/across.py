"""The knowledge of all bots that a person may see, as one: what of it fits a question.

Which bots these are is read when it is asked; the list of the public ones, which is the same for everybody, is kept for
some seconds. A bot that has gone private since costs a few hits: text is read from rows of bots that may be seen now.
"""

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from agent_service import contract
from backend.agent_client import UNKNOWN_NAMESPACES, AgentClient, AgentRefused, Scope
from backend.bots.models import Bot, BotVersion, Index, Visibility
from backend.conversations.models import Conversation
from backend.conversations.passages.filtering import NO_FILTERS, Filters
from backend.conversations.passages.retrieval import Retrieval, Searched, Wanted, as_before, found, rewriting_of
from backend.core.database import Database, in_database

NAMES_SENT = 100
"""Of a set that is so small the names go along each time."""
SHAS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Asked:
    """`bots` narrows it to some of those that may be seen; empty to none."""

    filters: Filters = NO_FILTERS
    bots: Sequence[UUID] = ()


def visible_to(user_id: UUID, bots: Sequence[UUID] = ()) -> QuerySet[Bot]:
    """One's own, the public ones, and the unlisted ones that one has talked with, whose id one was given."""
    talked = Conversation.objects.filter(user=user_id).exclude(bot=None).values("bot")
    shared = Q(visibility=Visibility.UNLISTED, pk__in=talked)
    visible: QuerySet[Bot] = Bot.objects.live().filter(Q(owner=user_id) | Q(visibility=Visibility.PUBLIC) | shared)
    return visible.filter(pk__in=bots) if bots else visible


async def retrieve(
    agent: AgentClient,
    *,
    user: UUID,
    question: str,
    asked: Asked,
    version: BotVersion,
    limit: int | None = None,
    history: Sequence[contract.Turn] = (),
    lexical_only: bool = False,
    asks_models: bool = True,
    database: Database = in_database,
) -> Retrieval:
    """As `retrieval.retrieve`, and each passage says which bot it is of. Raises AgentError."""
    sets: list[NamespaceSet] = await database(sets_of, user=user, bots=asked.bots)
    if not sets:
        return Retrieval([], notes=["nothing_to_search"])
    scope = Scope(user=user, namespaces_sha256=_sha256([one.sha256 for one in sets]))
    rewriting = rewriting_of(version, history, asks_models=asks_models)

    async def search(limit: int, documents: list[UUID] | None, again: contract.RetrieveResponse | None) -> Searched:
        fields = {"query": question, **rewriting} | (as_before(again) if again else {})
        request = partial(
            contract.RetrieveAcrossRequest, limit=limit, documents=documents, lexical_only=lexical_only, **fields
        )
        answer = await _asked(agent, request, sets, scope)
        return Searched(answer.hits, answer, whole=len(answer.hits) < limit)

    wanted = Wanted(
        bots=partial(visible_to, user, asked.bots),
        version=version,
        question=question,
        filters=asked.filters,
        limit=limit or version.top_k,
        many=True,
        asks_models=asks_models,
        database=database,
    )
    return await found(agent, wanted, search, Scope(user=user))


@dataclass(frozen=True, slots=True)
class NamespaceSet:
    """Namespaces of one embedding, in ascending order."""

    embedding: str
    names: tuple[str, ...]
    sha256: str

    def told(self, *, whole: bool) -> contract.NamespaceSet:
        names = list(self.names) if whole or len(self.names) <= NAMES_SENT else None
        return contract.NamespaceSet(embedding=self.embedding, sha256=self.sha256, names=names)


async def _asked(
    agent: AgentClient,
    request: "partial[contract.RetrieveAcrossRequest]",
    sets: Sequence[NamespaceSet],
    scope: Scope,
) -> contract.RetrieveResponse:
    """With the names of a large set only where the agent, one process of which we may not have told yet, wants them."""
    try:
        told = [one.told(whole=one.sha256 not in _told) for one in sets]
        answer = await agent.retrieve_across(request(sets=told), scope=scope)
    except AgentRefused as refusal:
        if refusal.code != UNKNOWN_NAMESPACES:
            raise
        answer = await agent.retrieve_across(request(sets=[one.told(whole=True) for one in sets]), scope=scope)
    if len(_told) > SHAS_KEPT:
        _told.clear()
    _told.update(one.sha256 for one in sets)
    return answer


_told: set[str] = set()


def sets_of(*, user: UUID, bots: Sequence[UUID]) -> list[NamespaceSet]:
    """What a person may search: the public ones, which all have in common, and those that are theirs beside."""
    if bots:
        return _sets(_indexes(visible_to(user, bots)))[: contract.MAX_SETS]
    personal = _indexes(visible_to(user).exclude(visibility=Visibility.PUBLIC))
    return [*public.sets(), *_sets(personal)][: contract.MAX_SETS]


@dataclass(slots=True)
class PublicSets:
    """The namespaces of all public bots, at most SEARCH_PUBLIC_SECONDS old."""

    _kept: Sequence[NamespaceSet] = ()
    _read: float = -1.0e9
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sets(self) -> Sequence[NamespaceSet]:
        with self._lock:
            if time.monotonic() - self._read >= settings.SEARCH_PUBLIC_SECONDS:
                self._kept = _sets(_indexes(Bot.objects.live().filter(visibility=Visibility.PUBLIC)))
                self._read = time.monotonic()
            return self._kept

    def forget(self) -> None:
        self._read = -1.0e9


public = PublicSets()


def _indexes(bots: QuerySet[Bot]) -> Iterable[Index]:
    rows = bots.exclude(embedding="").values_list("pk", "owner_id", "embedding", "generation")
    return [Index(*row) for row in rows]


def _sets(indexes: Iterable[Index]) -> list[NamespaceSet]:
    """The largest embedding first."""
    names: Mapping[str, list[str]] = defaultdict(list)
    for index in indexes:
        names[index.embedding].append(index.namespace)
    return [
        NamespaceSet(embedding, part, _sha256(part))
        for embedding, all_names in sorted(names.items(), key=lambda item: (-len(item[1]), item[0]))
        for part in _parts(tuple(sorted(all_names)))
    ]


def _parts(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    most = contract.MAX_NAMESPACES
    return [names[first : first + most] for first in range(0, len(names), most)]


def _sha256(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
