"""Compares rows, files and vectors, both ways, and repairs what differs.

Rows are read before and after what they are compared with: only what was wrong all the time is a difference, however
busy the deployment is.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.core.files.storage import default_storage
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from agent_service.contract import StoredVector
from backend.bots import indexes
from backend.bots.models import Bot, Index
from backend.documents import files, vectors
from backend.documents.claims import LostClaim
from backend.documents.failures import FAILURES
from backend.documents.models import Chunk, Document, DocumentVersion, Erasure, Stage, State

# A file is stored before its row is committed; a younger one may belong to an upload that is under way.
UPLOAD_GRACE = timedelta(hours=1)
MISSING = FAILURES["original_missing"]


@dataclass(frozen=True, slots=True)
class Difference:
    """`repaired` is what was done about it, empty where nothing was."""

    kind: str
    subject: str
    repaired: str = ""


def reconcile(*, repair: bool, delete_unknown: bool = False) -> Iterator[Difference]:
    """`delete_unknown`: also namespaces of bots that this database never knew. Raises AgentError, StorageAway."""
    yield from _rows_without_file(repair=repair)
    yield from _files_without_row(repair=repair)
    for bot in Bot.objects.filter(deleted_at=None).order_by("pk"):
        serving, *others = indexes.stored(bot)
        yield from _vectors(bot, serving, serves=True, repair=repair)
        for index in others:
            yield from _vectors(bot, index, serves=False, repair=repair)
    yield from _namespaces(repair=repair, delete_unknown=delete_unknown)


def _rows_without_file(*, repair: bool) -> Iterator[Difference]:
    """The document keeps answering; its owner is told, as it cannot be read again. That done, it is none any more."""
    told = Q(state=State.FAILED, error_code=MISSING.code)
    rows = dict(Document.objects.exclude(state=State.DELETING).exclude(told).values_list("pk", "file"))
    stored = set(files.stored_keys())
    for pk, key in rows.items():
        if key in stored or files.exists(key) or not Document.objects.filter(pk=pk, file=key).exists():
            continue
        yield Difference("row without file", str(pk), _tell_missing(pk, key) if repair else "")


def _tell_missing(pk: UUID, key: str) -> str:
    told = Document.objects.filter(pk=pk, file=key).exclude(state=State.DELETING)
    done = told.update(
        state=State.FAILED,
        stage=Stage.NONE,
        fence=F("fence") + 1,
        lease_until=None,
        wake_at=None,
        error_code=MISSING.code,
        error_message=MISSING.message,
        error_hint=MISSING.hint,
        updated_at=Now(),
    )
    return "marked as failed" if done else ""


def _files_without_row(*, repair: bool) -> Iterator[Difference]:
    oldest_upload = timezone.now() - UPLOAD_GRACE
    known = set(Document.objects.values_list("file", flat=True))
    for key in files.stored_keys():
        if key in known or Document.objects.filter(file=key).exists() or _younger(key, oldest_upload):
            continue
        if repair:
            files.remove(key)
        yield Difference("file without row", key, "deleted" if repair else "")


def _younger(key: str, than: datetime) -> bool:
    """Also where it is gone by now."""
    try:
        return bool(default_storage.get_modified_time(key) > than)
    except OSError:
        return True


def _vectors(bot: Bot, index: Index, *, serves: bool, repair: bool) -> Iterator[Difference]:
    before_known, before_serving = _known(bot), _serving(bot)
    stored = vectors.stored_in(index)
    known, serving = before_known | _known(bot), before_serving & _serving(bot)
    if serves and Bot.objects.filter(pk=bot.pk, generation=index.generation).exists():
        yield from _vectors_without_chunk(index, stored, stored.keys() - known, repair=repair)
        whole = {pk for pk, vector in stored.items() if vector.complete}
        yield from _chunks_without_vector(index, serving - whole, repair=repair)
    elif not serves:
        yield from _vectors_without_chunk(index, stored, stored.keys() - known, repair=repair)


def _known(bot: Bot) -> set[UUID]:
    return set(Chunk.objects.filter(bot=bot).values_list("pk", flat=True))


def _serving(bot: Bot) -> set[UUID]:
    chunks = Chunk.objects.filter(bot=bot, embedded=True, document__version=F("version"))
    return set(chunks.exclude(document__state=State.DELETING).values_list("pk", flat=True))


def _vectors_without_chunk(
    index: Index, stored: Mapping[UUID, StoredVector], strays: Iterable[UUID], *, repair: bool
) -> Iterator[Difference]:
    """The store forgets a version at a time: of one that still has passages, those are stored again."""
    for document_id, version_id in sorted({(stored[pk].document, stored[pk].version) for pk in strays}):
        if repair:
            vectors.erase(index=index, document_id=document_id, version_id=version_id)
            rest = [pk for pk, vector in stored.items() if vector.version == version_id and pk not in strays]
            _embed(index, rest)
        subject = f"bot {index.bot_id} version {version_id}"
        yield Difference("vectors without chunk", subject, "deleted" if repair else "")


def _chunks_without_vector(index: Index, missing: set[UUID], *, repair: bool) -> Iterator[Difference]:
    chunks = Chunk.objects.filter(pk__in=missing).order_by("position")
    for version in DocumentVersion.objects.filter(pk__in=chunks.order_by().values("version").distinct()):
        ids = list(chunks.filter(version=version).values_list("pk", flat=True))
        if repair:
            _embed(index, ids)
        subject = f"bot {index.bot_id} version {version.pk}: {len(ids)} chunks"
        yield Difference("chunks without vector", subject, "embedded" if repair else "")


def _embed(index: Index, ids: list[UUID]) -> None:
    """Those that still are."""
    still = list(Chunk.objects.filter(pk__in=ids).order_by("document", "position").values_list("pk", flat=True))
    serving = Bot.objects.get(pk=index.bot_id).index
    with suppress(LostClaim):  # erased at this moment, and then not missing either
        vectors.embed(index=serving, ids=still, stored=lambda _: None)


def _namespaces(*, repair: bool, delete_unknown: bool) -> Iterator[Difference]:
    """Of bots and generations that are no more. One whose bot this database never knew may be another deployment's that
    shares the store: it is deleted only where the operator says so."""
    found = vectors.namespaces()
    bots = list(Bot.objects.all())
    known = {index.namespace for bot in bots for index in indexes.stored(bot)}
    ours = {bot.pk for bot in bots} | set(Erasure.objects.filter(subject="bot").values_list("subject_id", flat=True))
    gone = set(found) - known
    for name in sorted(gone & set(vectors.namespaces()) if gone else gone):
        index = indexes.parsed(name)
        if index is None:
            continue  # nothing that this program makes
        certain = index.bot_id in ours or delete_unknown
        if repair and certain:
            vectors.erase(index=index)
        kind = "namespace of nobody" if index.bot_id in ours else "namespace of an unknown bot"
        yield Difference(kind, name, "deleted" if repair and certain else "")
