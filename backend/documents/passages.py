"""Text for answers: always from these rows, never from the vector store."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import F

from agent_service.contract import Hit
from backend.bots.models import Bot
from backend.documents.errors import DocumentNotFound
from backend.documents.models import Chunk, Page, State

SPARE_HITS = 3
"""Times what is wanted: vectors of what is retired or hidden cost recall, so more are asked for than are used."""


@dataclass(frozen=True, slots=True)
class LivePassage:
    """`text` is characters `start` to `end` of the stored text of `page` in that version."""

    chunk_id: UUID
    document_id: UUID
    document_title: str
    version_id: UUID
    version_number: int
    page: int
    start: int
    end: int
    text: str
    score: float


def live_passages(*, bot: Bot, hits: Sequence[Hit]) -> list[LivePassage]:
    """The hits that are this bot's and serve at this moment, in the hits' order; one query."""
    rows = (
        Chunk.objects.filter(pk__in=[hit.chunk for hit in hits], document__version=F("version"))
        .filter(document__bot=bot, document__bot__deleted_at=None)
        .exclude(document__state=State.DELETING)
        .select_related("document", "version")
        .only("document__title", "version__number", "page", "start", "end", "text")
    )
    found = {row.pk: row for row in rows}
    return [_passage(found[hit.chunk], hit.score) for hit in hits if hit.chunk in found]


def _passage(chunk: Chunk, score: float) -> LivePassage:
    return LivePassage(
        chunk_id=chunk.pk,
        document_id=chunk.document_id,
        document_title=chunk.document.title,
        version_id=chunk.version_id,
        version_number=chunk.version.number,
        page=chunk.page,
        start=chunk.start,
        end=chunk.end,
        text=chunk.text,
        score=score,
    )


def page_text(*, version_id: UUID, page: int) -> str:
    """The stored text of a page, also of a version that no longer serves. Raises DocumentNotFound."""
    rows = Page.objects.filter(version_id=version_id, number=page).exclude(version__document__state=State.DELETING)
    text = rows.values_list("text", flat=True).first()
    if text is None:
        raise DocumentNotFound
    return text
