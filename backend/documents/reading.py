"""From files to versions: pages and passages of one or several documents, written in one transaction."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max

from backend.bots import indexes
from backend.bots.models import Index
from backend.core.text import NORMALISER_VERSION
from backend.documents import claims, corrections, files, formats, headings, quotas, reports
from backend.documents.batches import Batch
from backend.documents.chunking import CHUNKER_VERSION, Span, chunk_spans, visible
from backend.documents.claims import Claim
from backend.documents.extraction import Extraction, ExtractionFailed, extract
from backend.documents.heartbeat import Heartbeat
from backend.documents.models import Document, DocumentVersion, Stage, State, chunk_id

SLOW_SECONDS = 1.0
"""After so long with one document the others of its batch are handed back."""

_PAGES = "COPY documents_page (version_id, number, label, text, link, author, dated) FROM STDIN"
_CHUNKS = """
    COPY documents_chunk (
        id, version_id, document_id, bot_id, "position", page, start, "end", text, heading, embedded, enabled
    ) FROM STDIN
"""

_TELL = """
    UPDATE documents_document AS document
    SET state = CASE WHEN one.review THEN %(waiting)s ELSE %(processing)s END,
        stage = CASE WHEN one.review THEN %(at_rest)s ELSE %(embedding)s END,
        lease_until = CASE WHEN one.review THEN NULL ELSE statement_timestamp() + %(lease)s * interval '1 second' END,
        pages_done = one.pages, pages_total = one.pages, chunks_done = 0, chunks_total = one.chunks,
        updated_at = statement_timestamp()
    FROM unnest(%(ids)s::uuid[], %(pages)s::int[], %(chunks)s::int[], %(reviews)s::bool[])
        AS one(id, pages, chunks, review)
    WHERE document.id = one.id
"""


@dataclass(frozen=True, slots=True)
class Read:
    """A document as its file says it. `spans` are the passages of each page."""

    claim: Claim
    document: Document
    extraction: Extraction
    spans: list[list[Span]]

    @property
    def passages(self) -> int:
        return sum(map(len, self.spans))


def identity(document: Document, index: Index) -> dict[str, Any]:
    """What a version is made of and by."""
    configuration = document.bot.configuration
    return {
        "sha256": document.sha256,
        "embedding": index.embedding,
        "generation": index.generation,
        "chunk_chars": configuration.chunk_chars,
        "chunk_overlap": configuration.chunk_overlap,
        "chunker_version": CHUNKER_VERSION,
        "normaliser_version": NORMALISER_VERSION,
    }


def read(batch: Batch, heartbeat: Heartbeat, claim: Claim, document: Document) -> Read:
    """Raises ExtractionFailed, LostClaim, Draining, StorageUnavailable."""
    extraction = _extracted(batch, heartbeat, claim, document)
    if len(batch.held) == 1:
        pages = len(extraction.pages)
        claims.write(claim, stage=Stage.CHUNKING, pages_done=pages, pages_total=pages)
    configuration = document.bot.configuration
    spans = []
    for page in extraction.pages:
        heartbeat.check(claim)
        size = {"chunk_chars": configuration.chunk_chars, "overlap": configuration.chunk_overlap}
        spans.append(chunk_spans(page.text, **size))
    if not any(spans):
        raise ExtractionFailed("no_text")
    return Read(claim, document, extraction, spans)


def _extracted(batch: Batch, heartbeat: Heartbeat, claim: Claim, document: Document) -> Extraction:
    begun = time.monotonic()
    told: tuple[int, int | None] = (0, None)

    def tick(done: int, total: int | None) -> None:
        nonlocal told
        heartbeat.check(claim)
        if len(batch.held) > 1 and time.monotonic() - begun > SLOW_SECONDS:
            batch.without_others(claim)
        if (done, total) != told:
            told = (done, total)
            claims.write(claim, pages_done=done, pages_total=total)

    try:
        with files.opened_locally(document.file) as file:
            extraction = extract(file, format_name=document.format, link=document.link, tick=tick)
    except FileNotFoundError as exc:
        raise ExtractionFailed("original_missing") from exc
    if not any(visible(page.text) for page in extraction.pages):
        raise ExtractionFailed("no_text")
    return extraction


def store(batch: Batch, reads: Sequence[Read], index: Index) -> tuple[dict[UUID, DocumentVersion], list[Claim]]:
    """The versions, by document, with the claims of those that wait for their owner's go. Raises LostClaim where
    nothing is left of the batch, IndexChanged, and ExtractionFailed where the documents are over their owner's
    quota."""
    with transaction.atomic():
        batch.lock()
        reads = [one for one in reads if one.claim in batch.held]
        versions = _created(reads, index)
        quotas.check_pages(owner_id=index.owner_id, pages={one.document.pk: len(one.extraction.pages) for one in reads})
        _copy_pages(reads, versions)
        _copy_chunks(reads, versions)
        for version in versions.values():
            if version.number > 1:
                corrections.apply(version)
        waiting = _told(reads, versions)
        indexes.lock_serving(index)
    return versions, waiting


def _created(reads: Sequence[Read], index: Index) -> dict[UUID, DocumentVersion]:
    built = {one.document.pk: reports.build(extraction=one.extraction, spans=one.spans) for one in reads}
    reports.compare(bot_id=index.bot_id, reports=built)
    known = DocumentVersion.objects.filter(document__in=built).order_by()
    newest = dict(known.values_list("document").annotate(newest=Max("number")))
    versions = [
        DocumentVersion(
            document=one.document,
            number=newest.get(one.document.pk, 0) + 1,
            page_count=len(one.extraction.pages),
            char_count=sum(len(page.text) for page in one.extraction.pages),
            chunk_count=one.passages,
            report=built[one.document.pk],
            **identity(one.document, index),
        )
        for one in reads
    ]
    DocumentVersion.objects.bulk_create(versions)
    return {version.document_id: version for version in versions}


def _told(reads: Sequence[Read], versions: Mapping[UUID, DocumentVersion]) -> list[Claim]:
    """Says of the documents how far they are, all in one statement. Returns those that go no further for now."""
    rows = [(one.document, versions[one.document.pk]) for one in reads]
    with connection.cursor() as cursor:
        cursor.execute(
            _TELL,
            {
                "ids": [document.pk for document, _ in rows],
                "pages": [version.page_count for _, version in rows],
                "chunks": [version.chunk_count for _, version in rows],
                "reviews": [document.review for document, _ in rows],
                "waiting": State.WAITING.value,
                "at_rest": Stage.NONE.value,
                "processing": State.PROCESSING.value,
                "embedding": Stage.EMBEDDING.value,
                "lease": settings.INGEST_LEASE.total_seconds(),
            },
        )
    return [one.claim for one in reads if one.document.review]


def _copy_pages(reads: Sequence[Read], versions: Mapping[UUID, DocumentVersion]) -> None:
    with connection.cursor() as cursor, cursor.copy(_PAGES) as copy:
        for one in reads:
            version = versions[one.document.pk]
            for number, page in enumerate(one.extraction.pages, 1):
                place = (page.link, page.author, page.dated or None)
                copy.write_row((version.pk, number, page.label, page.text, *place))


def _copy_chunks(reads: Sequence[Read], versions: Mapping[UUID, DocumentVersion]) -> None:
    with connection.cursor() as cursor, cursor.copy(_CHUNKS) as copy:
        for one in reads:
            for row in _chunk_rows(one, versions[one.document.pk]):
                copy.write_row(row)


def _chunk_rows(one: Read, version: DocumentVersion) -> Iterator[tuple[Any, ...]]:
    position = 0
    pages = enumerate(zip(one.extraction.pages, one.spans, _paths(one), strict=True), 1)
    for number, (page, spans, paths) in pages:
        for span, path in zip(spans, paths, strict=True):
            owner = (chunk_id(version.pk, position), version.pk, one.document.pk, one.document.bot_id)
            text = page.text[span.start : span.end]
            yield (*owner, position, number, span.start, span.end, text, path, False, True)
            position += 1


def _paths(one: Read) -> list[list[str]]:
    """The headings above each passage."""
    kind = formats.FORMATS.get(one.document.format)
    if kind is None or not kind.headings:
        return [[""] * len(spans) for spans in one.spans]
    return headings.paths([page.text for page in one.extraction.pages], one.spans)
