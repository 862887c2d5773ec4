"""Which index of a bot serves, which is being built, and which still has to be forgotten."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Max, Q
from django.db.models.functions import Now

from backend.agent_client import AgentError
from backend.bots.catalogue import catalogue
from backend.bots.errors import BotNotFound, EmbeddingServes, EmbeddingUnknown, IndexBusy, NoIndexBuild
from backend.bots.models import UNFINISHED, Bot, BuildState, Index, IndexBuild
from backend.core import jobs

BUILD = "documents.build_index"
FORGET = "documents.forget_index"
_NAMESPACE = re.compile(r"bot-(?P<bot>[0-9a-f]{32})(?:-(?P<generation>[1-9][0-9]{0,9}))?")


class IndexChanged(Exception):
    """Another index of the bot serves by now."""


def overview(bot: Bot) -> dict[str, Any]:
    """For `IndexOutput`. What serves is read together with the build: a build that is done serves."""
    build = newest_build(bot)
    serving = build.bot if build else bot
    return {"embedding": serving.embedding, "offered": _offered(), "build": build}


def _offered() -> list[dict[str, Any]] | None:
    """Unknown while the agent is away, which is no reason not to tell how a build stands."""
    try:
        return [embedding.model_dump() for embedding in catalogue.offer().embeddings]
    except AgentError:
        return None


def newest_build(bot: Bot) -> IndexBuild | None:
    return IndexBuild.objects.filter(bot=bot).select_related("bot").order_by("-generation").first()


def start_build(*, bot: Bot, embedding: str) -> IndexBuild | None:
    """Build an index with `embedding`; go on with it where it failed; None where nothing had settled the embedding yet
    and there is nothing to build. Raises EmbeddingUnknown, EmbeddingServes, IndexBusy, AgentError."""
    if not catalogue.offers_embedding(embedding):
        raise EmbeddingUnknown(details={"embedding": embedding})
    with transaction.atomic():
        locked = _locked(bot)
        if not locked.embedding:
            Bot.objects.filter(pk=bot.pk).update(embedding=embedding, updated_at=Now())
            return None
        build = IndexBuild.objects.filter(bot=bot, state__in=UNFINISHED).first()
        if build is not None and build.embedding == embedding:
            return _resumed(build)
        if locked.embedding == embedding:
            raise EmbeddingServes(details={"embedding": embedding})
        if build is not None and build.state == BuildState.BUILDING:
            raise IndexBusy(details={"embedding": build.embedding})
        if build is not None:
            _give_up(build)
        return _begun(locked, embedding)


def _begun(bot: Bot, embedding: str) -> IndexBuild:
    newest = IndexBuild.objects.filter(bot=bot).aggregate(newest=Max("generation"))["newest"] or 0
    build: IndexBuild = IndexBuild.objects.create(
        bot=bot, embedding=embedding, generation=max(bot.generation, newest) + 1
    )
    wake(build)
    return build


def _resumed(build: IndexBuild) -> IndexBuild:
    """A failed one goes on; one that waits for its next try need not wait; one under way is left alone."""
    fresh = {"error_code": "", "error_message": "", "error_hint": "", "failures": 0, "updated_at": Now()}
    waiting = Q(state=BuildState.FAILED) | Q(state=BuildState.BUILDING, wake_at__isnull=False)
    if IndexBuild.objects.filter(waiting, pk=build.pk).update(state=BuildState.BUILDING, wake_at=None, **fresh):
        wake(build)
    build.refresh_from_db()
    return build


def cancel_build(*, bot: Bot) -> None:
    """What serves goes on serving; what was built is forgotten. Raises NoIndexBuild."""
    with transaction.atomic():
        _locked(bot)
        build = IndexBuild.objects.filter(bot=bot, state__in=UNFINISHED).first()
        if build is None:
            raise NoIndexBuild
        _give_up(build)


def _give_up(build: IndexBuild) -> None:
    """Puts a worker's claim on it out of force; its lease stays, so that what it has sent is waited for."""
    IndexBuild.objects.filter(pk=build.pk).update(
        state=BuildState.CANCELLED,
        fence=F("fence") + 1,
        wake_at=None,
        obsolete=build.generation,
        forget_at=Now(),
        updated_at=Now(),
    )
    jobs.enqueue(FORGET, build_id=str(build.pk))


def wake(build: IndexBuild) -> None:
    jobs.enqueue(BUILD, queueing_lock=f"{BUILD}:{build.pk}", build_id=str(build.pk))


def stored(bot: Bot) -> list[Index]:
    """Every index of the bot that may hold vectors; the one that serves first."""
    serving = Bot.objects.filter(pk=bot.pk).first() or bot
    builds = IndexBuild.objects.filter(bot=bot.pk).filter(Q(state__in=UNFINISHED) | Q(obsolete__isnull=False))
    others = {build.generation if build.obsolete is None else build.obsolete for build in builds}
    return [serving.index, *(generation_of(serving, other) for other in sorted(others - {serving.generation}))]


def generation_of(bot: Bot, generation: int) -> Index:
    """One that is only listed or erased, for which its embedding does not matter."""
    return Index(bot.pk, bot.owner_id, "", generation)


def parsed(namespace: str) -> Index | None:
    """Whose it is, by its name; None for one that we do not make."""
    found = _NAMESPACE.fullmatch(namespace)
    return Index(UUID(found["bot"]), UUID(int=0), "", int(found["generation"] or 0)) if found else None


def lock_serving(index: Index) -> None:
    """Inside a transaction: keeps `index` in service until its end. Raises IndexChanged where it is not (any more)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT embedding, generation FROM bots_bot WHERE id = %s FOR SHARE", [index.bot_id])
        if cursor.fetchone() != (index.embedding, index.generation):
            raise IndexChanged


def busy(document_id: UUID) -> bool:
    """Whether a build has passages of this document on their way to the agent."""
    sending = IndexBuild.objects.filter(sending__contains=[str(document_id)], lease_until__gt=Now())
    return bool(sending.exists())


def grace() -> timedelta:
    """For so long, whoever read the bot's row before a switch may still search in the old index or store into it; and
    a killed worker's last request may still have its effect."""
    return settings.INGEST_LEASE + timedelta(seconds=settings.AGENT_INGEST_SECONDS)


def switch(*, bot: Bot, build: IndexBuild) -> None:
    """Put what was built in the place of what serves; inside a transaction that has locked both rows."""
    Bot.objects.filter(pk=bot.pk).update(embedding=build.embedding, generation=build.generation, updated_at=Now())
    IndexBuild.objects.filter(pk=build.pk).update(
        state=BuildState.DONE,
        sending=[],
        lease_until=None,
        obsolete=bot.generation,
        forget_at=Now() + grace(),
        updated_at=Now(),
    )


def _locked(bot: Bot) -> Bot:
    locked: Bot | None = Bot.objects.select_for_update().filter(pk=bot.pk, deleted_at=None).first()
    if locked is None:
        raise BotNotFound
    return locked
