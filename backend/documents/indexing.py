"""A bot's index for another embedding: filled beside the one that serves, proven whole, and put in its place.

The new index gets every passage that serves, under the same id, in a namespace of its own. `Chunk.rebuilt` says which
are known to be there, so a worker may die at any line. Documents that come meanwhile go into the index that serves, and
from there into the new one: the switch, one transaction under the lock of the bot's row, happens only where no serving
passage is missing.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from agent_service.contract import StoredVector
from backend.agent_client import AgentError, AgentGarbage
from backend.bots import indexes
from backend.bots.indexes import FORGET
from backend.bots.models import Bot, BuildState, IndexBuild
from backend.core import jobs
from backend.core.text import NORMALISER_VERSION
from backend.documents import builds, claims, vectors
from backend.documents.builds import BuildClaim, Pulse
from backend.documents.chunking import CHUNKER_VERSION
from backend.documents.claims import Draining, LostClaim
from backend.documents.failures import INTERNAL, Failure
from backend.documents.models import Chunk, Document, DocumentVersion, State, VersionState

logger = logging.getLogger(__name__)

ROUND = 400
"""Passages sent between two looks at what serves: a deletion of one of their documents waits for so many at most."""
MAX_RETRY_DELAY = timedelta(minutes=10)
HINT = "What serves goes on serving. Go on with the build later, or cancel it; if it stays so, tell the operator."


def build(build_id: UUID) -> None:
    """Take the build up if it is to be had, and bring it to its end or to its next try."""
    claim = builds.take(build_id)
    if claim is None:
        return
    try:
        with builds.kept(claim) as pulse:
            _fill(claim, pulse)
    except LostClaim:
        builds.withdraw(claim)
    except Draining:
        _unless_lost(claim, builds.release)
    except AgentError as exc:
        failure = Failure(exc.code, exc.message, HINT)
        _failed(claim, failure, final=not exc.retryable, at_least=timedelta(seconds=exc.retry_after or 0))
    except (OperationalError, InterfaceError):
        raise  # without the database nothing can be written down: the lease runs out, and somebody takes it up
    except Exception:  # the worker loop: whatever it was, the row must say so and come to an end
        logger.exception("index build %s: unforeseen error", build_id)
        _failed(claim, INTERNAL)


def _unless_lost(claim: BuildClaim, do: Any, *arguments: Any, **options: Any) -> None:
    try:
        do(claim, *arguments, **options)
    except LostClaim:
        builds.withdraw(claim)


def _failed(claim: BuildClaim, failure: Failure, *, final: bool = False, at_least: timedelta = timedelta(0)) -> None:
    """Try again later, later each time, INGEST_TRIES times in a row; then it has failed."""
    failures = 1 + IndexBuild.objects.values_list("failures", flat=True).get(pk=claim.build_id)
    if final or failures >= settings.INGEST_TRIES:
        _unless_lost(claim, builds.fail, failure)
        return
    delay = min(MAX_RETRY_DELAY, max(at_least, settings.INGEST_RETRY_DELAY * 2 ** (failures - 1)))
    _unless_lost(claim, builds.postpone, failure, delay=delay, failures=failures)


def _fill(claim: BuildClaim, pulse: Pulse) -> None:
    row = IndexBuild.objects.select_related("bot").get(pk=claim.build_id)
    if claim.resumed:
        _forget_strays(row, vectors.stored_in(row.index))
    while True:
        while wanted := list(_missing(row).values_list("pk", flat=True)[:ROUND]):
            _store(claim, pulse, row, wanted)
        _read_back(claim, row)
        if _switched(claim):
            return


def _serving(row: IndexBuild) -> QuerySet[Chunk]:
    """What answers are made from, whether it is switched on or not."""
    chunks = Chunk.objects.filter(bot=row.bot_id, embedded=True, document__version=F("version"))
    serving: QuerySet[Chunk] = chunks.exclude(document__state=State.DELETING)
    return serving


def _missing(row: IndexBuild) -> QuerySet[Chunk]:
    elsewhere = Q(rebuilt=None) | ~Q(rebuilt=row.generation)
    return _serving(row).filter(elsewhere).order_by("document", "position")


def _store(claim: BuildClaim, pulse: Pulse, row: IndexBuild, wanted: list[UUID]) -> None:
    """The row names the documents before their passages are read: a deletion either sees that and waits, or was there
    first and is seen here."""
    documents = Chunk.objects.filter(pk__in=wanted).order_by().values_list("document", flat=True).distinct()
    total = _serving(row).count()
    done = total - _missing(row).count()
    builds.write(claim, sending=[str(pk) for pk in documents], done=done, total=total)
    ids = list(_missing(row).filter(pk__in=wanted).values_list("pk", flat=True))

    def stored(some: vectors.Ids) -> None:
        with transaction.atomic():
            builds.write(claim, done=F("done") + len(some), failures=0, error_code="", error_message="", error_hint="")
            Chunk.objects.filter(pk__in=some).update(rebuilt=row.generation)
        pulse.check()

    try:
        vectors.embed(index=row.index, ids=ids, stored=stored)
    except LostClaim:
        pulse.check()  # else it is the passages that are gone and not the claim, as the next line finds out
    builds.write(claim, sending=[])


def _read_back(claim: BuildClaim, row: IndexBuild) -> None:
    """Forget what is there and does not serve. What the store does not have after all is to be sent again: raises
    AgentGarbage."""
    known = set(_serving(row).filter(rebuilt=row.generation).values_list("pk", flat=True))
    found = vectors.stored_in(row.index)
    _forget_strays(row, found)
    whole = {pk for pk, vector in found.items() if vector.complete}
    if lacking := known - whole:
        with transaction.atomic():
            builds.write(claim)
            Chunk.objects.filter(pk__in=lacking).update(rebuilt=None)
        raise AgentGarbage(f"The vector store lacks {len(lacking)} passages that it had taken.")


def _forget_strays(row: IndexBuild, found: Mapping[UUID, StoredVector]) -> None:
    """Of documents that were deleted or replaced while their passages were on their way."""
    serving = set(
        Document.objects.filter(bot=row.bot_id)
        .exclude(state=State.DELETING)
        .exclude(version=None)
        .values_list("version", flat=True)
    )
    strays = {(vector.document, vector.version) for vector in found.values() if vector.version not in serving}
    for document_id, version_id in sorted(strays):
        vectors.erase(index=row.index, document_id=document_id, version_id=version_id)


def _switched(claim: BuildClaim) -> bool:
    """False where documents came while we looked. Order of locks: bot, build, versions."""
    with transaction.atomic():
        of_build = IndexBuild.objects.filter(pk=claim.build_id).values("bot")
        bot = Bot.objects.select_for_update().filter(pk__in=of_build, deleted_at=None).first()
        if bot is None:
            raise LostClaim
        row = IndexBuild.objects.select_related("bot").get(pk=claim.build_id)
        total = _serving(row).count()
        builds.write(claim, done=total, total=total)
        if _missing(row).exists():
            return False
        versions = DocumentVersion.objects.filter(document__bot=bot, state=VersionState.READY)
        versions.update(embedding=row.embedding, generation=row.generation)
        indexes.switch(bot=bot, build=row)
        jobs.enqueue(FORGET, delay=indexes.grace(), build_id=str(row.pk))
    return True


def forget(build_id: UUID, *, again: bool = False) -> None:
    """Erase the index that nobody needs any more, and read back that it is gone. That of a cancelled build is looked at
    `again` when the last request of a killed worker must have ended. Raises AgentError, to be tried again."""
    if again:
        _forget_late(build_id)
        return
    row = IndexBuild.objects.filter(_forgettable(), pk=build_id).select_related("bot").first()
    if row is None or row.obsolete is None:
        return
    if _in_use(row, row.obsolete):
        jobs.enqueue(FORGET, delay=settings.INGEST_HEARTBEAT, build_id=str(build_id))
        return
    vectors.erase(index=indexes.generation_of(row.bot, row.obsolete))
    with transaction.atomic():
        IndexBuild.objects.filter(pk=build_id).update(obsolete=None, forget_at=None, updated_at=Now())
        if row.state == BuildState.CANCELLED:
            jobs.enqueue(FORGET, delay=indexes.grace(), build_id=str(build_id), again=True)


def _forget_late(build_id: UUID) -> None:
    row = IndexBuild.objects.filter(pk=build_id, state=BuildState.CANCELLED).select_related("bot").first()
    if row is not None:
        vectors.erase(index=row.index)


def _forgettable() -> Q:
    return Q(obsolete__isnull=False) & (Q(forget_at=None) | Q(forget_at__lte=Now()))


def obsolete() -> Iterable[UUID]:
    """For the sweeper."""
    return list(IndexBuild.objects.filter(_forgettable()).order_by("pk").values_list("pk", flat=True))


def _in_use(row: IndexBuild, generation: int) -> bool:
    """Whoever is storing into it must have stopped: the worker of the build, or of a document that was begun before
    the switch and learns of it at its end."""
    begun = DocumentVersion.objects.filter(document__bot=row.bot_id, state=VersionState.BUILDING, generation=generation)
    at_work = begun.filter(document__state=State.PROCESSING, document__lease_until__gt=Now())
    building = IndexBuild.objects.filter(pk=row.pk, lease_until__gt=Now())
    return bool(at_work.exists() or building.exists())


def outdated() -> QuerySet[Document]:
    """Documents that were cut or cleaned by another version of this program, or whose vectors are of another index:
    identities are never mixed."""
    serving = Q(version__chunker_version=CHUNKER_VERSION, version__normaliser_version=NORMALISER_VERSION)
    same = serving & Q(version__embedding=F("bot__embedding"), version__generation=F("bot__generation"))
    documents: QuerySet[Document] = Document.objects.live().filter(state=State.READY).exclude(same)
    return documents


def reindex_outdated() -> int:
    """Read them again, each beside its version that serves. Returns how many were queued."""
    queued = 0
    for pk in list(outdated().order_by("pk").values_list("pk", flat=True)):
        with transaction.atomic():
            queued += claims.queue(Document.objects.filter(pk=pk, state=State.READY), pk)
    return queued
