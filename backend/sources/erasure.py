"""Taking a source away: its documents first, each in the way documents go, and then its row."""

from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from backend.core import jobs
from backend.documents import services as documents
from backend.documents.models import Document, State
from backend.sources import claims
from backend.sources.connectors import registry
from backend.sources.errors import SourceKindUnknown
from backend.sources.models import Source, SourceState


def erase(source_id: UUID) -> None:
    """Waits for a worker that may still be at it, and for its documents to be gone: the sweeper calls again."""
    source = Source.objects.filter(pk=source_id, state=SourceState.DELETING).select_related("bot").first()
    if source is None:
        return
    if Source.objects.filter(pk=source_id, lease_until__gt=Now()).exists():
        jobs.enqueue(claims.ERASE, delay=settings.INGEST_HEARTBEAT, source_id=str(source_id))
        return
    left = Document.objects.filter(items__source=source)
    for document in left.exclude(state=State.DELETING):
        documents.delete_document(document=document)
    if left.exists():
        return
    _forget(source)
    source.delete()


def forget_sources_of(bot_id: UUID) -> None:
    """Of a bot whose rows are about to go, and the sources with them."""
    for source in Source.objects.filter(bot=bot_id):
        _forget(source)


def _forget(source: Source) -> None:
    try:
        registry.find(source.kind).forget(source)
    except SourceKindUnknown:  # its connector is no longer part of this deployment, and so holds nothing
        return
