"""From a file to a version that serves. A worker may die at any line: what it had finished stays, the next goes on."""

import logging
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Count, Q

from backend.agent_client import AgentError
from backend.bots.indexes import IndexChanged
from backend.bots.models import Bot, Index
from backend.bots.services import settle_embedding
from backend.core.errors import ChatSphereError
from backend.documents import claims, reading, serving, setbacks, vectors
from backend.documents.batches import Batch
from backend.documents.claims import Claim, Draining, LostClaim, draining
from backend.documents.errors import StorageUnavailable
from backend.documents.extraction import ExtractionFailed
from backend.documents.failures import AGENT_HINT, INTERNAL, Failure
from backend.documents.heartbeat import Heartbeat
from backend.documents.models import Chunk, Document, DocumentVersion, Stage, VersionState
from backend.documents.slots import Slot

logger = logging.getLogger(__name__)

Versions = dict[UUID, DocumentVersion]

_MORE_CHUNKS = """
    UPDATE documents_document AS document SET chunks_done = chunks_done + more.count, failures = 0
    FROM unnest(%s::uuid[], %s::int[]) AS more(id, count) WHERE document.id = more.id
"""


def ingest() -> None:
    """Take up what is due, in fair turns, until nothing is. What comes back to the queue has a reminder of its own."""
    tried: set[UUID] = set()
    with Slot() as slot:
        while taken := slot.take(without=tried):
            tried.update(claim.document_id for claim in taken)
            batch = Batch(taken)
            _attempt(batch)
            for claim in batch.lost:
                claims.withdraw(claim)
            if draining.is_set():
                return


def _attempt(batch: Batch) -> None:
    try:
        with Heartbeat(*batch.held) as heartbeat:
            _build(batch, heartbeat)
    except (Draining, IndexChanged):
        _each(batch, claims.release)
    except LostClaim:
        batch.keep([])
    except ExtractionFailed as exc:
        failure = exc
        _together_or_apart(batch, lambda claim: setbacks.unreadable(claim, failure))
    except (AgentError, StorageUnavailable) as exc:
        _passing(batch, exc)
    except (OperationalError, InterfaceError):
        raise  # without the database nothing can be written down: the lease runs out, and somebody takes it up
    except Exception:  # the worker loop: whatever it was, the row must say so and come to an end
        logger.exception("documents %s: unforeseen error", batch.documents)
        _together_or_apart(batch, lambda claim: setbacks.failed_for_now(claim, INTERNAL))


def _passing(batch: Batch, exc: ChatSphereError) -> None:
    """A refusal for good concerns one of the documents, and not all that were sent with it."""
    retryable = getattr(exc, "retryable", True)
    failure = Failure(exc.code, exc.message, AGENT_HINT)
    delay = timedelta(seconds=exc.retry_after or 0)

    def treat(claim: Claim) -> None:
        setbacks.failed_for_now(claim, failure, final=not retryable, at_least=delay)

    if retryable:
        _each(batch, treat)
    else:
        _together_or_apart(batch, treat)


def _together_or_apart(batch: Batch, treat: Callable[[Claim], None]) -> None:
    """Which of several documents it was shows when each goes its way alone."""
    if len(batch.held) == 1:
        _each(batch, treat)
        return
    for claim in batch.held:
        alone = Batch([claim])
        _attempt(alone)
        batch.lost += alone.lost
    batch.held = []


def _each(batch: Batch, treat: Callable[[Claim], None]) -> None:
    for claim in batch.held:
        try:
            treat(claim)
        except LostClaim:
            batch.lost.append(claim)
    batch.held = []


def _build(batch: Batch, heartbeat: Heartbeat) -> None:
    rows = Document.objects.select_related("bot__version").filter(pk__in=batch.documents)
    documents = {document.pk: document for document in rows}
    batch.keep([claim for claim in batch.held if claim.document_id in documents])
    if not batch.held:
        return
    index = _index_of(list(documents.values()))
    versions = _unfinished(batch, documents, index)
    resumed = set(versions)
    versions |= _read(batch, heartbeat, documents, index, resumed)
    if batch.held:
        _tell_resumed(batch, versions, resumed)
        _embed(batch, heartbeat, versions, index)
        serving.serve(batch, versions, index)


def _index_of(documents: list[Document]) -> Index:
    """The bot is the same for all, and so is what they are to be embedded by."""
    bot: Bot = documents[0].bot
    settle_embedding(bot=bot)
    for document in documents:
        document.bot = bot
    return bot.index


def _unfinished(batch: Batch, documents: dict[UUID, Document], index: Index) -> Versions:
    """The versions that an earlier attempt began, if they are still the ones wanted; others are given up."""
    building = DocumentVersion.objects.filter(document__in=documents, state=VersionState.BUILDING)
    begun = {version.document_id: version for version in building}
    wanted = {
        pk: version
        for pk, version in begun.items()
        if all(getattr(version, name) == value for name, value in reading.identity(documents[pk], index).items())
    }
    if len(wanted) < len(begun):
        with transaction.atomic():
            batch.lock()
            claims.give_up(building.filter(document__in=batch.documents).exclude(document__in=wanted))
    return wanted


def _read(
    batch: Batch, heartbeat: Heartbeat, documents: dict[UUID, Document], index: Index, resumed: set[UUID]
) -> Versions:
    unread = [claim for claim in batch.held if claim.document_id not in resumed]
    if not unread:
        return {}
    with transaction.atomic():
        batch.lock()
        rows = Document.objects.filter(pk__in=[claim.document_id for claim in unread])
        rows.update(stage=Stage.EXTRACTING, pages_done=0, pages_total=None, chunks_done=0, chunks_total=None)
    reads = []
    for claim in unread:
        if claim in batch.held:
            reads += _read_one(batch, heartbeat, claim, documents[claim.document_id])
    if not any(one.claim in batch.held for one in reads):
        return {}
    versions, waiting = reading.store(batch, reads, index)
    batch.ended(*waiting)
    return versions


def _read_one(batch: Batch, heartbeat: Heartbeat, claim: Claim, document: Document) -> list[reading.Read]:
    try:
        return [reading.read(batch, heartbeat, claim, document)]
    except ExtractionFailed as exc:
        setbacks.unreadable(claim, exc)
        batch.ended(claim)
    except LostClaim:
        batch.lose(claim)
    return []


def _tell_resumed(batch: Batch, versions: Versions, resumed: set[UUID]) -> None:
    of_resumed = [versions[pk].pk for pk in batch.documents if pk in resumed]
    if not of_resumed:
        return
    done = Chunk.objects.filter(version__in=of_resumed).order_by().values_list("document")
    counts = done.annotate(embedded=Count("pk", filter=Q(embedded=True)))
    with transaction.atomic():
        batch.lock()
        for pk, embedded in counts:
            version = versions[pk]
            Document.objects.filter(pk=pk).update(
                stage=Stage.EMBEDDING,
                pages_done=version.page_count,
                pages_total=version.page_count,
                chunks_done=embedded,
                chunks_total=version.chunk_count,
            )


def _embed(batch: Batch, heartbeat: Heartbeat, versions: Versions, index: Index) -> None:
    """What is missing, of all documents together. Where one of them is lost, the others go on without it."""
    while True:
        held = batch.held
        missing = _missing(batch, versions)
        try:
            vectors.embed(index=index, ids=[*missing], stored=_stored(batch, heartbeat, missing))
        except LostClaim:
            with transaction.atomic():
                batch.lock()
            if batch.held == held:
                raise
        else:
            return


def _missing(batch: Batch, versions: Versions) -> dict[UUID, UUID]:
    """Chunks that have no vector yet, each with its document, in the order of reading."""
    chunks = Chunk.objects.filter(version__in=[versions[pk].pk for pk in batch.documents], embedded=False)
    return dict(chunks.order_by("document", "position").values_list("pk", "document"))


def _stored(batch: Batch, heartbeat: Heartbeat, documents: dict[UUID, UUID]) -> Callable[[vectors.Ids], None]:
    def stored(ids: vectors.Ids) -> None:
        held = batch.held
        with transaction.atomic():
            batch.lock()
            ours = [pk for pk in ids if documents[pk] in batch.documents]
            _count([documents[pk] for pk in ours])
            Chunk.objects.filter(pk__in=ours).update(embedded=True)
        if batch.held != held:
            raise LostClaim
        heartbeat.check(*batch.held)

    return stored


def _count(documents: list[UUID]) -> None:
    """So many more chunks of each."""
    counts = Counter(documents)
    with connection.cursor() as cursor:
        cursor.execute(_MORE_CHUNKS, [list(counts), list(counts.values())])
