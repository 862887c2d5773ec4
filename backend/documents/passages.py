"""Text for answers: always from these rows, never from the vector store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
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
    """`text` is characters `start` to `end` of the stored text of `page` in that version.

    `link` is the page's own, else the document's; `heading` what the passage stands under. `changed` tells that the
    document's content is already another one, which is still being read.
    """

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
    kind: str = ""
    label: str = ""
    heading: str = ""
    link: str = ""
    author: str = ""
    dated: datetime | None = None
    changed: bool = False


def live_passages(*, bot: Bot, hits: Sequence[Hit]) -> list[LivePassage]:
    """The hits that are this bot's, switched on and serve at this moment, in the hits' order; one query."""
    rows = (
        Chunk.objects.filter(pk__in=[hit.chunk for hit in hits], document__version=F("version"))
        .filter(document__bot=bot, document__bot__deleted_at=None, document__enabled=True, enabled=True)
        .exclude(document__state=State.DELETING)
        .filter(version__pages__number=F("page"))
        .select_related("document", "version")
        .annotate(**{f"page_{name}": F(f"version__pages__{name}") for name in ("label", "link", "author", "dated")})
        .only(*_SHOWN)
    )
    found = {row.pk: row for row in rows}
    return [_passage(found[hit.chunk], hit.score) for hit in hits if hit.chunk in found]


_SHOWN = (
    "document__title", "document__kind", "document__link", "document__sha256", "version__number", "version__sha256",
    "page", "start", "end", "text", "heading",
)  # fmt: skip


def _passage(chunk: Any, score: float) -> LivePassage:
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
        kind=chunk.document.kind,
        label=chunk.page_label,
        heading=chunk.heading,
        link=chunk.page_link or chunk.document.link,
        author=chunk.page_author,
        dated=chunk.page_dated,
        changed=chunk.version.sha256 != chunk.document.sha256,
    )


def page_text(*, version_id: UUID, page: int) -> str:
    """The stored text of a page, also of a version that no longer serves. Raises DocumentNotFound."""
    rows = Page.objects.filter(version_id=version_id, number=page).exclude(version__document__state=State.DELETING)
    text = rows.values_list("text", flat=True).first()
    if text is None:
        raise DocumentNotFound
    return text
