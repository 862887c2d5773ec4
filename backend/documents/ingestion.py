"""From a file to a version that serves. A worker may die at any line: what it had finished stays, the next goes on."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Max

from backend.agent_client import AgentError, AgentGarbage
from backend.bots.models import Bot
from backend.bots.services import settle_embedding
from backend.core import jobs
from backend.core.text import NORMALISER_VERSION
from backend.documents import claims, vectors
from backend.documents.chunking import CHUNKER_VERSION, Span, chunk_spans, visible
from backend.documents.claims import Claim, Draining, Heartbeat, LostClaim
from backend.documents.extraction import ExtractedPage, ExtractionFailed, extract
from backend.documents.failures import AGENT_HINT, FAILURES, INTERNAL, Failure
from backend.documents.models import Chunk, Document, DocumentVersion, Stage, State, VersionState, chunk_id

logger = logging.getLogger(__name__)

_PAGES = "COPY documents_page (version_id, number, label, text, link, author, dated) FROM STDIN"
_CHUNKS = """
    COPY documents_chunk (
        id, version_id, document_id, bot_id, "position", page, start, "end", text, heading, embedded, enabled
    ) FROM STDIN
"""

MAX_RETRY_DELAY = timedelta(minutes=10)
RETIRE = "documents.retire_versions"


def ingest(document_id: UUID) -> None:
    """Take the document up if it is to be had, and bring it to an end or to its next try."""
    claim = claims.take(document_id)
    if claim is None:
        return
    try:
        _attempt(claim)
    except LostClaim:
        claims.withdraw(claim)


def _attempt(claim: Claim) -> None:
    try:
        with Heartbeat(claim) as heartbeat:
            _build(claim, heartbeat)
    except Draining:
        claims.release(claim)
    except ExtractionFailed as exc:
        _extraction_failed(claim, exc)
    except AgentError as exc:
        failure = Failure(exc.code, exc.message, AGENT_HINT)
        _failed_for_now(claim, failure, final=not exc.retryable, at_least=timedelta(seconds=exc.retry_after or 0))
    except (LostClaim, OperationalError, InterfaceError):
        raise  # without the database nothing can be written down: the lease runs out, and somebody takes it up
    except Exception:  # the worker loop: whatever it was, the row must say so and come to an end
        logger.exception("document %s: unforeseen error", claim.document_id)
        _failed_for_now(claim, INTERNAL)


def _build(claim: Claim, heartbeat: Heartbeat) -> None:
    document = Document.objects.select_related("bot__version").get(pk=claim.document_id)
    embedding = settle_embedding(bot=document.bot)
    version = _unfinished(claim, document, embedding) or _read(claim, heartbeat, document, embedding)
    _embed(claim, heartbeat, document.bot, version)
    _serve(claim, version)


def _identity(document: Document, embedding: str) -> dict[str, str | int]:
    """What a version is made of and by."""
    configuration = document.bot.configuration
    return {
        "sha256": document.sha256,
        "embedding": embedding,
        "chunk_chars": configuration.chunk_chars,
        "chunk_overlap": configuration.chunk_overlap,
        "chunker_version": CHUNKER_VERSION,
        "normaliser_version": NORMALISER_VERSION,
    }


def _unfinished(claim: Claim, document: Document, embedding: str) -> DocumentVersion | None:
    """The version that an earlier attempt began, if it is still the one wanted; another one is given up."""
    building = DocumentVersion.objects.filter(document=document, state=VersionState.BUILDING)
    found = building.filter(**_identity(document, embedding)).first()
    if found is None:
        with transaction.atomic():
            claims.write(claim)
            if building.update(state=VersionState.RETIRED):
                jobs.enqueue(RETIRE, document_id=str(document.pk))
    return found


def _read(claim: Claim, heartbeat: Heartbeat, document: Document, embedding: str) -> DocumentVersion:
    pages = _extract(claim, heartbeat, document)
    claims.write(claim, stage=Stage.CHUNKING, pages_done=len(pages), pages_total=len(pages))
    identity = _identity(document, embedding)
    spans: list[list[Span]] = []
    for page in pages:
        heartbeat.check()
        spans.append(
            chunk_spans(page.text, chunk_chars=int(identity["chunk_chars"]), overlap=int(identity["chunk_overlap"]))
        )
    count = sum(map(len, spans))
    if not count:
        raise ExtractionFailed("no_text")
    with transaction.atomic():
        claims.write(claim, stage=Stage.EMBEDDING, chunks_done=0, chunks_total=count)
        version = DocumentVersion.objects.create(
            document=document,
            number=_next_number(document),
            page_count=len(pages),
            char_count=sum(len(page.text) for page in pages),
            chunk_count=count,
            **identity,
        )
        _copy_pages(version, pages)
        _copy_chunks(document, version, pages, spans)
    return version


def _next_number(document: Document) -> int:
    newest: int | None = document.versions.aggregate(newest=Max("number"))["newest"]
    return (newest or 0) + 1


def _extract(claim: Claim, heartbeat: Heartbeat, document: Document) -> list[ExtractedPage]:
    claims.write(claim, stage=Stage.EXTRACTING, pages_done=0, pages_total=None, chunks_done=0, chunks_total=None)
    told: tuple[int, int | None] = (0, None)

    def tick(done: int, total: int | None) -> None:
        nonlocal told
        heartbeat.check()
        if (done, total) != told:
            told = (done, total)
            claims.write(claim, pages_done=done, pages_total=total)

    try:
        with default_storage.open(document.file, "rb") as file:
            pages = extract(file, format_name=document.format, link=document.link, tick=tick).pages
    except FileNotFoundError as exc:
        raise ExtractionFailed("original_missing") from exc
    if not any(visible(page.text) for page in pages):
        raise ExtractionFailed("no_text")
    return pages


def _copy_pages(version: DocumentVersion, pages: Sequence[ExtractedPage]) -> None:
    with connection.cursor() as cursor, cursor.copy(_PAGES) as copy:
        for number, page in enumerate(pages, 1):
            place = (page.link, page.author, page.dated or None)
            copy.write_row((version.pk, number, page.label, page.text, *place))


def _copy_chunks(
    document: Document, version: DocumentVersion, pages: Sequence[ExtractedPage], spans: Sequence[Sequence[Span]]
) -> None:
    position = 0
    with connection.cursor() as cursor, cursor.copy(_CHUNKS) as copy:
        for number, (page, in_page) in enumerate(zip(pages, spans, strict=True), 1):
            for start, end in ((span.start, span.end) for span in in_page):
                owner = (chunk_id(version.pk, position), version.pk, document.pk, document.bot_id)
                copy.write_row((*owner, position, number, start, end, page.text[start:end], "", False, True))
                position += 1


def _embed(claim: Claim, heartbeat: Heartbeat, bot: Bot, version: DocumentVersion) -> None:
    chunks = Chunk.objects.filter(version=version)
    missing = list(chunks.filter(embedded=False).order_by("position").values_list("pk", flat=True))
    claims.write(
        claim,
        stage=Stage.EMBEDDING,
        pages_done=version.page_count,
        pages_total=version.page_count,
        chunks_done=version.chunk_count - len(missing),
        chunks_total=version.chunk_count,
    )

    def stored(ids: vectors.Ids) -> None:
        with transaction.atomic():
            claims.write(claim, chunks_done=F("chunks_done") + len(ids), failures=0)
            chunks.filter(pk__in=ids).update(embedded=True)
        heartbeat.check()

    vectors.embed(bot=bot, version=version, ids=missing, stored=stored)


def _serve(claim: Claim, version: DocumentVersion) -> None:
    """Switch over, in one step, to a version that is whole."""
    with transaction.atomic():
        claims.write(
            claim,
            state=State.READY,
            stage=Stage.NONE,
            version=version,
            lease_until=None,
            failures=0,
            parser_crashes=0,
            error_code="",
            error_message="",
            error_hint="",
        )
        if Chunk.objects.filter(version=version, embedded=True).count() != version.chunk_count:
            raise AgentGarbage("Not every chunk of the document has a vector.")
        versions = DocumentVersion.objects.filter(document=claim.document_id)
        if versions.filter(state=VersionState.READY).update(state=VersionState.RETIRED):
            jobs.enqueue(RETIRE, document_id=str(claim.document_id))
        versions.filter(pk=version.pk).update(state=VersionState.READY)
        document = Document.objects.select_related("bot__version").get(pk=claim.document_id)
        if any(getattr(version, name) != value for name, value in _identity(document, version.embedding).items()):
            claims.queue(Document.objects.filter(pk=claim.document_id), claim.document_id)


def _extraction_failed(claim: Claim, exc: ExtractionFailed) -> None:
    if exc.crashed:
        claims.write(claim, parser_crashes=F("parser_crashes") + 1)
        crashes = Document.objects.values_list("parser_crashes", flat=True).get(pk=claim.document_id)
        if crashes < settings.PARSER_TRIES:
            claims.release(claim)
            return
    _fail(claim, FAILURES[exc.code])


def _failed_for_now(claim: Claim, failure: Failure, *, final: bool = False, at_least: timedelta = timedelta(0)) -> None:
    """Try again later, later each time, INGEST_TRIES times in all; then it has failed."""
    failures = 1 + Document.objects.values_list("failures", flat=True).get(pk=claim.document_id)
    if final or failures >= settings.INGEST_TRIES:
        _fail(claim, failure)
        return
    delay = min(MAX_RETRY_DELAY, max(at_least, settings.INGEST_RETRY_DELAY * 2 ** (failures - 1)))
    claims.postpone(claim, delay=delay, failures=failures, **_told(failure))


def _fail(claim: Claim, failure: Failure) -> None:
    claims.write(claim, state=State.FAILED, stage=Stage.NONE, lease_until=None, **_told(failure))


def _told(failure: Failure) -> dict[str, str]:
    return {"error_code": failure.code[:60], "error_message": failure.message[:500], "error_hint": failure.hint}


def retire_versions(document_id: UUID) -> None:
    """Erase the vectors of versions that no longer serve, then their chunks. Their pages stay, for old citations."""
    retired = DocumentVersion.objects.filter(document=document_id, state=VersionState.RETIRED, chunks__isnull=False)
    for version in retired.select_related("document__bot").distinct():
        vectors.erase(bot=version.document.bot, document_id=document_id, version_id=version.pk)
        Chunk.objects.filter(version=version).delete()
