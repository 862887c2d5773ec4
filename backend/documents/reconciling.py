"""Compares rows, files and vectors, both ways, and repairs what differs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.core.files.storage import default_storage
from django.db.models import F
from django.utils import timezone

from agent_service.contract import StoredVector
from backend.bots.models import Bot
from backend.documents import files, vectors
from backend.documents.models import Chunk, Document, DocumentVersion, State

# A file is stored before its row is committed; a younger one may belong to an upload that is under way.
UPLOAD_GRACE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Difference:
    """`repaired` is what was done about it, empty where nothing was."""

    kind: str
    subject: str
    repaired: str = ""


def reconcile(*, repair: bool) -> Iterator[Difference]:
    """Raises AgentError."""
    yield from _rows_without_file()
    yield from _files_without_row(repair=repair)
    for bot in Bot.objects.filter(deleted_at=None).order_by("pk"):
        yield from _vectors(bot, repair=repair)


def _rows_without_file() -> Iterator[Difference]:
    for pk, key in Document.objects.exclude(state=State.DELETING).values_list("pk", "file"):
        if not default_storage.exists(key):
            yield Difference("row without file", str(pk))


def _files_without_row(*, repair: bool) -> Iterator[Difference]:
    oldest_upload = timezone.now() - UPLOAD_GRACE
    for key in files.stored_keys():
        if default_storage.get_modified_time(key) > oldest_upload or Document.objects.filter(file=key).exists():
            continue
        if repair:
            default_storage.delete(key)
        yield Difference("file without row", key, "deleted" if repair else "")


def _vectors(bot: Bot, *, repair: bool) -> Iterator[Difference]:
    """Rows are read before and after the vectors: only what was wrong all the time is a difference."""
    before_known, before_serving = _known(bot), _serving(bot)
    stored = vectors.stored_in(bot)
    known, serving = before_known | _known(bot), before_serving & _serving(bot)
    yield from _vectors_without_chunk(bot, [stored[pk] for pk in stored.keys() - known], repair=repair)
    whole = {pk for pk, vector in stored.items() if vector.complete}
    yield from _chunks_without_vector(bot, serving - whole, repair=repair)


def _known(bot: Bot) -> set[UUID]:
    return set(Chunk.objects.filter(bot=bot).values_list("pk", flat=True))


def _serving(bot: Bot) -> set[UUID]:
    chunks = Chunk.objects.filter(bot=bot, document__version=F("version")).exclude(document__state=State.DELETING)
    return set(chunks.values_list("pk", flat=True))


def _vectors_without_chunk(bot: Bot, strays: Iterable[StoredVector], *, repair: bool) -> Iterator[Difference]:
    """Leftovers of versions that are gone; the store forgets a version at a time."""
    for document_id, version_id in sorted({(stray.document, stray.version) for stray in strays}):
        gone = not Chunk.objects.filter(version=version_id).exists()
        if repair and gone:
            vectors.erase(bot=bot, document_id=document_id, version_id=version_id)
        yield Difference(
            "vectors without chunk", f"bot {bot.pk} version {version_id}", "deleted" if repair and gone else ""
        )


def _chunks_without_vector(bot: Bot, missing: set[UUID], *, repair: bool) -> Iterator[Difference]:
    chunks = Chunk.objects.filter(pk__in=missing).order_by("position")
    for version in DocumentVersion.objects.filter(pk__in=chunks.order_by().values("version").distinct()):
        ids = list(chunks.filter(version=version).values_list("pk", flat=True))
        if repair:
            vectors.embed(bot=bot, version=version, ids=ids, stored=lambda _: None)
        subject = f"bot {bot.pk} version {version.pk}: {len(ids)} chunks"
        yield Difference("chunks without vector", subject, "embedded" if repair else "")
