"""Documents of several pages with several passages, and the hits that an agent would give for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from backend.bots.models import Bot
from backend.documents.models import Chunk, Document, DocumentVersion, Kind, Page, State, VersionState, chunk_id
from tests.backend.conversations.scripted_agent import hit

EMBEDDING = "local:wordllama:256"


@dataclass(frozen=True)
class Book:
    document: Document
    version: DocumentVersion
    chunks: list[Chunk]

    def hits(self, *places: int, best: float = 0.9) -> list[dict[str, Any]]:
        """Of the passages at these places, or of all, in this order."""
        chosen = [self.chunks[place] for place in places] if places else self.chunks
        return [
            hit(chunk.pk, self.document.pk, self.version.pk, round(best - place / 1000, 6))
            for place, chunk in enumerate(chosen)
        ]


def write(
    bot: Bot,
    pages: Sequence[Sequence[str]],
    *,
    title: str = "Book",
    dated: Sequence[datetime | None] = (),
    headings: Sequence[str] = (),
) -> Book:
    """Each page is its passages, one after another; `dated` by page, `headings` by passage."""
    document = Document.objects.create(
        bot=bot, kind=Kind.TEXT, title=title, format="txt", media_type="text/plain", size=1, sha256=uuid4().hex * 2,
        file="x",
    )  # fmt: skip
    version = DocumentVersion.objects.create(
        document=document, number=1, state=VersionState.READY, sha256=document.sha256, embedding=EMBEDDING,
        chunk_chars=1000, chunk_overlap=150, chunker_version=1, normaliser_version=1, page_count=len(pages),
        char_count=0, chunk_count=0,
    )  # fmt: skip
    chunks: list[Chunk] = []
    for number, passages in enumerate(pages, start=1):
        date = dated[number - 1] if dated else None
        Page.objects.create(
            version=version, number=number, label=f"Page {number}", text="\n".join(passages), dated=date
        )
        start = 0
        for text in passages:
            position = len(chunks)
            chunks.append(
                Chunk(
                    id=chunk_id(version.pk, position),
                    version=version,
                    document=document,
                    bot=bot,
                    position=position,
                    page=number,
                    start=start,
                    end=start + len(text),
                    text=text,
                    embedded=True,
                    heading=headings[position] if headings else "",
                )
            )
            start += len(text) + 1
    Chunk.objects.bulk_create(chunks)
    document.state, document.version = State.READY, version
    document.save(update_fields=["state", "version"])
    return Book(document, version, chunks)
