"""What an owner changes in passages: another text in the place of one, or none.

What was read is never changed, as citations open it. The changed passage is a page of its own after those of the file,
in the same version, with one chunk on it; that chunk takes the place of the one that was read in the step in which it
becomes searchable. A correction is found again by the text of the passage as it was read, in every later reading.

`Chunk.correction` is set on both. Everything here runs under the lock of the document's row.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from uuid import UUID

from django.db import transaction
from django.db.models import CharField, F, Func, Max, Q, QuerySet

from backend.bots import indexes
from backend.bots.indexes import IndexChanged
from backend.bots.models import Index
from backend.core import jobs
from backend.core.text import clean_text
from backend.documents import claims, vectors
from backend.documents.chunking import MAX_CHUNK_CHARS, visible
from backend.documents.claims import LostClaim
from backend.documents.errors import CorrectionNotFound, DocumentNotFound, NoText, PassageNotFound, PassageTooLong
from backend.documents.models import (
    Chunk,
    Correction,
    Document,
    DocumentVersion,
    Page,
    State,
    VersionState,
    chunk_id,
)
from backend.users.models import User

EMBED = "documents.embed_corrections"
BATCH = 1000
_EDITED = ", edited"
_LABEL_CHARS = 200


class _Sha256(Func):
    template = "encode(sha256(convert_to(%(expressions)s, 'UTF8')), 'hex')"
    output_field = CharField()


def listed(version: DocumentVersion | None) -> QuerySet[Chunk]:
    """The passages of a version as its owner sees them: those that were read, and what stands in the place of some.
    Earlier edits of an edited one are left out."""
    if version is None:
        return Chunk.objects.none()
    shown = Q(page__lte=version.page_count) | Q(enabled=True) | Q(embedded=False, correction__isnull=False)
    return Chunk.objects.filter(shown, version=version)


def edit(*, document: Document, passage: UUID, text: str, author: User) -> Chunk:
    """The passage that is to stand in the place of this one: it answers once a job has embedded it. The text that was
    read takes the edit back. Raises NoText, PassageTooLong, PassageNotFound, DocumentNotFound."""
    text = clean_text(text).strip()
    if not visible(text):
        raise NoText
    if len(text) > MAX_CHUNK_CHARS:
        raise PassageTooLong(details={"chars": MAX_CHUNK_CHARS})
    with transaction.atomic():
        chunk = _locked_passage(document, passage)
        if text == _original(chunk).strip():
            return _undone(chunk)
        correction = _correct(chunk, text, author)
        return _express(correction, chunk.version, [chunk], live=True) or chunk


def switch(*, document: Document, passage: UUID, enabled: bool, author: User) -> Chunk:
    """A passage that is switched off answers nothing from this moment on; switched on again, it is as it was read.
    Raises PassageNotFound, DocumentNotFound."""
    with transaction.atomic():
        chunk = _locked_passage(document, passage)
        if chunk.enabled == enabled:
            return chunk
        if enabled:
            return _undone(chunk)
        correction = _correct(chunk, None, author)
        _express(correction, chunk.version, [chunk], live=True)
        chunk.refresh_from_db()
        return chunk


def undo(*, document: Document, correction_id: UUID) -> None:
    """As it was read, at once. Raises CorrectionNotFound, DocumentNotFound."""
    with transaction.atomic():
        _lock(document.pk)
        correction = Correction.objects.filter(pk=correction_id, document=document).first()
        if correction is None:
            raise CorrectionNotFound
        _undo(correction)


def apply(version: DocumentVersion) -> None:
    """Put what the owner corrected into a version that was just read, and is embedded as a whole afterwards. Inside the
    transaction that wrote its chunks; changes its `chunk_count`."""
    for correction, found in _found(version):
        _express(correction, version, found, live=False)


def settle(version: DocumentVersion) -> None:
    """Put what was corrected while a version was built into it, now that it serves. Inside the transaction of the
    switch."""
    for correction, found in _found(version):
        _express(correction, version, found, live=True)


def embed(document_id: UUID) -> None:
    """Make passages that were edited searchable, each in the place of the one that was read. Raises AgentError."""
    waiting = _waiting(document_id).select_related("version__document__bot")
    version = next((chunk.version for chunk in waiting[:1]), None)
    if version is None:
        return
    ids = list(waiting.order_by("position").values_list("pk", flat=True))
    bot, index = version.document.bot, version.document.bot.index
    with suppress(LostClaim):  # where the version was retired meanwhile: what was sent is erased below
        vectors.embed(index=index, ids=ids, stored=lambda some: _searchable(version, index, some))
    if not Document.objects.filter(pk=document_id).exclude(state=State.DELETING).exists():
        claims.confirm_erasure(bot_id=bot.pk, owner_id=bot.owner_id, document_id=document_id)
    elif not Document.objects.filter(pk=document_id, version=version).exists():
        vectors.erase(index=index, document_id=document_id, version_id=version.pk)


def unfinished() -> Iterable[UUID]:
    """Documents with edited passages that are not searchable yet; for the sweeper."""
    waiting = Correction.objects.filter(chunks__embedded=False, chunks__version=F("document__version"))
    documents = waiting.exclude(document__state=State.DELETING).order_by().values_list("document", flat=True)
    return list(documents.distinct()[:BATCH])


def _lock(document_id: UUID) -> Document:
    document: Document | None = (
        Document.objects.select_for_update().filter(pk=document_id).exclude(state=State.DELETING).first()
    )
    if document is None:
        raise DocumentNotFound
    return document


def _locked_passage(document: Document, passage: UUID) -> Chunk:
    version = _lock(document.pk).version
    chunk = listed(version).select_related("version", "correction").filter(pk=passage).first()
    if chunk is None:
        raise PassageNotFound
    return chunk


def _original(chunk: Chunk) -> str:
    """The passage as it was read."""
    return chunk.correction.original if chunk.correction else chunk.text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _correct(chunk: Chunk, text: str | None, author: User) -> Correction:
    original = _original(chunk)
    correction, _ = Correction.objects.update_or_create(
        document_id=chunk.document_id,
        original_sha256=_digest(original),
        defaults={"original": original, "text": text, "author": author},
    )
    return correction


def _undone(chunk: Chunk) -> Chunk:
    """The passage that was read, which answers again."""
    correction = chunk.correction
    if correction is None:
        return chunk
    read = correction.chunks.filter(version=chunk.version, page__lte=chunk.version.page_count).first()
    _undo(correction)
    shown = read or chunk
    shown.refresh_from_db()
    return shown


def _undo(correction: Correction) -> None:
    """In every version, also in one that is being built."""
    read = Q(page__lte=F("version__page_count"))
    for enabled, chunks in ((True, correction.chunks.filter(read)), (False, correction.chunks.exclude(read))):
        ids = list(chunks.values_list("pk", flat=True))
        Chunk.objects.filter(pk__in=ids).update(enabled=enabled)
    correction.delete()


def _found(version: DocumentVersion) -> Iterable[tuple[Correction, Sequence[Chunk]]]:
    """Every correction of the document with the passages that it is about, in one pass over the version's text."""
    corrections = {
        row.original_sha256: row for row in Correction.objects.filter(document=version.document_id).order_by("pk")
    }
    if not corrections:
        return
    chunks = Chunk.objects.filter(version=version, page__lte=version.page_count).annotate(digest=_Sha256(F("text")))
    found: dict[str, list[Chunk]] = {}
    for chunk in chunks.filter(digest__in=list(corrections)).order_by("position"):
        found.setdefault(chunk.digest, []).append(chunk)
    for digest, passages in found.items():
        yield corrections[digest], passages


def _express(
    correction: Correction, version: DocumentVersion, passages: Sequence[Chunk], *, live: bool
) -> Chunk | None:
    """Bring a version into the state that the correction wants; repeating it changes nothing. In a version that is
    `live` an edited passage has to wait for its vector, and what it replaces answers until then. Returns the edited
    passage."""
    same_text = Chunk.objects.filter(version=version, page__lte=version.page_count, text=correction.original)
    same_text.update(correction=correction)
    if correction.text is None:
        Chunk.objects.filter(version=version, correction=correction).update(enabled=False)
        return None
    newest = _edited(correction, version).order_by("-position").first()
    if newest is not None and newest.text == correction.text:
        if newest.embedded:
            _take_place(newest)
        return newest
    newest = _place(correction, correction.text, version, passages[0], enabled=not live)
    if live:
        jobs.enqueue(EMBED, queueing_lock=f"{EMBED}:{version.document_id}", document_id=str(version.document_id))
    else:
        _take_place(newest)
    return newest


def _edited(correction: Correction, version: DocumentVersion) -> QuerySet[Chunk]:
    return Chunk.objects.filter(version=version, correction=correction, page__gt=version.page_count)


def _place(correction: Correction, text: str, version: DocumentVersion, beside: Chunk, *, enabled: bool) -> Chunk:
    page = Page.objects.get(version=version, number=beside.page)
    last = Page.objects.filter(version=version).aggregate(number=Max("number"))["number"]
    label = page.label.removesuffix(_EDITED)[: _LABEL_CHARS - len(_EDITED)] + _EDITED
    place = {"link": page.link, "author": page.author, "dated": page.dated}
    Page.objects.create(version=version, number=last + 1, label=label, text=text, **place)
    position = 1 + Chunk.objects.filter(version=version).aggregate(position=Max("position"))["position"]
    if enabled:
        _count(version, 1)
    chunk: Chunk = Chunk.objects.create(
        id=chunk_id(version.pk, position),
        version=version,
        document_id=version.document_id,
        bot_id=beside.bot_id,
        position=position,
        page=last + 1,
        start=0,
        end=len(text),
        text=text,
        heading=beside.heading,
        enabled=enabled,
        correction=correction,
    )
    return chunk


def _count(version: DocumentVersion, more: int) -> None:
    """`chunk_count` is how many chunks of the version are to have a vector before it serves, or have one since."""
    DocumentVersion.objects.filter(pk=version.pk).update(chunk_count=F("chunk_count") + more)
    version.chunk_count += more


def _take_place(chunk: Chunk) -> None:
    others = Chunk.objects.filter(version=chunk.version_id, correction=chunk.correction_id).exclude(pk=chunk.pk)
    others.update(enabled=False)
    Chunk.objects.filter(pk=chunk.pk).update(enabled=True)


def _waiting(document_id: UUID) -> QuerySet[Chunk]:
    chunks = Chunk.objects.filter(document=document_id, version=F("document__version"), embedded=False)
    return chunks.filter(version__state=VersionState.READY).exclude(document__state=State.DELETING)


def _searchable(version: DocumentVersion, index: Index, ids: Sequence[UUID]) -> None:
    """The step in which edited passages take the place of what was read; one that was taken back or edited again in the
    meantime takes nobody's. Raises LostClaim where the version or the index no longer serves."""
    with suppress(IndexChanged), transaction.atomic():
        if not Document.objects.select_for_update().filter(pk=version.document_id, version=version).exists():
            raise LostClaim
        indexes.lock_serving(index)
        chunks = Chunk.objects.filter(pk__in=ids, embedded=False).select_related("correction")
        for chunk in chunks.order_by("position"):
            if chunk.correction is not None and chunk.text == chunk.correction.text:
                _take_place(chunk)
        _count(version, chunks.update(embedded=True))
        return
    raise LostClaim
