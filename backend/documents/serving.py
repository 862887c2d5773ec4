"""Which version of a document answers: the switch to one that is whole, and the end of the one before."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Now

from backend.agent_client import AgentGarbage
from backend.bots import indexes
from backend.bots.models import Index
from backend.core import jobs
from backend.documents import claims, corrections, reading, vectors
from backend.documents.batches import Batch
from backend.documents.claims import Claim
from backend.documents.models import Chunk, Document, DocumentVersion, Stage, State, VersionState
from backend.webhooks import services as webhooks
from backend.webhooks.models import Event


def serve(batch: Batch, versions: Mapping[UUID, DocumentVersion], index: Index) -> None:
    """Switch over, in one step, to the versions that are whole. Raises LostClaim, IndexChanged, and AgentGarbage where
    some are not; those are still held."""
    with transaction.atomic():
        batch.lock()
        indexes.lock_serving(index)
        whole = _whole(batch.held, versions)
        if whole:
            _switch(whole, versions, index)
    batch.ended(*whole)
    if batch.held:
        raise AgentGarbage("Not every chunk of the document has a vector.")


def _whole(held: Sequence[Claim], versions: Mapping[UUID, DocumentVersion]) -> list[Claim]:
    chunks = Chunk.objects.filter(version__in=[versions[claim.document_id].pk for claim in held], embedded=True)
    embedded = dict(chunks.order_by().values_list("version").annotate(count=Count("pk")))
    building = {claim: versions[claim.document_id] for claim in held}
    return [claim for claim, version in building.items() if embedded.get(version.pk, 0) == version.chunk_count]


def _switch(whole: Sequence[Claim], versions: Mapping[UUID, DocumentVersion], index: Index) -> None:
    ids = [claim.document_id for claim in whole]
    of_documents = DocumentVersion.objects.filter(document__in=ids)
    replaced = of_documents.filter(state=VersionState.READY)
    retiring = list(replaced.values_list("document", flat=True))
    building = DocumentVersion.objects.filter(document=OuterRef("pk"), state=VersionState.BUILDING)
    Document.objects.filter(pk__in=ids).update(
        state=State.READY,
        stage=Stage.NONE,
        version=Subquery(building.values("pk")[:1]),
        lease_until=None,
        failures=0,
        parser_crashes=0,
        error_code="",
        error_message="",
        error_hint="",
        updated_at=Now(),
    )
    if retiring:
        replaced.update(state=VersionState.RETIRED)
    of_documents.filter(state=VersionState.BUILDING).update(state=VersionState.READY)
    for pk in retiring:
        jobs.enqueue(claims.RETIRE, document_id=str(pk))
    served = list(Document.objects.filter(pk__in=ids).select_related("bot__version").order_by("pk"))
    news = [_news(document, versions[document.pk]) for document in served]
    webhooks.emit_all(owner_id=index.owner_id, event=Event.DOCUMENT_READY, data=news)
    for document in served:
        _now_serves(document, versions[document.pk], index)


def _now_serves(document: Document, version: DocumentVersion, index: Index) -> None:
    if version.number > 1:
        corrections.settle(version)
    wanted = reading.identity(document, index)
    if any(getattr(version, name) != value for name, value in wanted.items()):
        claims.queue(Document.objects.filter(pk=document.pk), document.pk)


def _news(document: Document, version: DocumentVersion) -> dict[str, Any]:
    names = {"document": str(document.pk), "bot": str(document.bot_id), "title": document.title}
    return names | {"version": version.number, "pages": version.page_count, "chunks": version.chunk_count}


def retire_versions(document_id: UUID, *, again: bool = False) -> None:
    """Erase the vectors of versions that no longer serve, then their chunks; `again` also of those that were erased
    before. Their pages stay, for old citations. Waits for whoever may still be sending: the worker of a cancelled
    document, or the build of an index."""
    sending = Q(state=State.CANCELLED, lease_until__gt=Now())
    if Document.objects.filter(sending, pk=document_id).exists() or indexes.busy(document_id):
        return  # whoever it is tells when he has stopped, or the sweeper reminds
    retired = DocumentVersion.objects.filter(document=document_id, state=VersionState.RETIRED)
    if not again:
        retired = retired.filter(chunks__isnull=False)
    for version in retired.select_related("document__bot").distinct():
        for index in indexes.stored(version.document.bot):
            vectors.erase(index=index, document_id=document_id, version_id=version.pk)
        Chunk.objects.filter(version=version).delete()
