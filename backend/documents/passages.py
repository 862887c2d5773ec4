"""Text for answers: always from these rows, never from the vector store."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet

from agent_service.contract import Hit
from backend.bots.models import Bot
from backend.core import prepared
from backend.documents.errors import DocumentNotFound
from backend.documents.models import Chunk, Kind, Page, State

SPARE_HITS = 3
"""Times what is wanted: vectors of what is retired or hidden cost recall, so more are asked for than are used."""


@dataclass(frozen=True, slots=True)
class LivePassage:
    """`text` is characters `start` to `end` of the stored text of `page` in that version.

    `link` is the page's own, else the document's; `heading` what the passage stands under. `changed` tells that the
    document's content is already another one, which is still being read. `position` is its place in the version.
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
    position: int = 0
    bot_id: UUID | None = None
    bot_name: str = ""


NO_CONDITION = Q()
Bots = Bot | QuerySet[Bot]


def live_passages(
    *, bot: Bots, hits: Sequence[Hit], wanted: Q = NO_CONDITION, named: bool = False
) -> list[LivePassage]:
    """The hits that are this bot's, or one of these bots', switched on and serve at this moment, in the hits' order;
    one query. `wanted` may speak of `heading` and `page_dated`; `named` tells the bot's name as well."""
    ids = [hit.chunk for hit in hits]
    if isinstance(bot, Bot) and not wanted and not named:
        live = {row[0]: row for row in prepared.rows(_LIVE, {"ids": ids, "bot": bot.pk})}
        return [replace(LivePassage(*live[hit.chunk]), score=hit.score) for hit in hits if hit.chunk in live]
    found = {row.pk: row for row in _live(ids, of_bots(bot), wanted, named=named)}
    return [_passage(found[hit.chunk], hit.score, named=named) for hit in hits if hit.chunk in found]


def _live(ids: list[UUID], bots: Q, wanted: Q, *, named: bool) -> QuerySet[Chunk]:
    rows: QuerySet[Chunk] = (
        Chunk.objects.filter(pk__among=ids, document__version=F("version"))
        .filter(bots, document__bot__deleted_at=None, document__enabled=True, enabled=True)
        .exclude(document__state=State.DELETING)
        .filter(version__pages__number=F("page"))
        .select_related("document__bot" if named else "document", "version")
        .annotate(**{f"page_{name}": F(f"version__pages__{name}") for name in ("label", "link", "author", "dated")})
        .filter(wanted)
        .only(*_SHOWN, *(["document__bot__name"] if named else []))
    )
    return rows


# `_live` for one bot, in the order of LivePassage. Each chunk is looked up by its key whatever the planner believes:
# until a bulk of new chunks is analysed, it takes the bot's chunks for few and would read them all.
_LIVE = """
    SELECT chunk.id, document.id, document.title, version.id, version.number, chunk.page, chunk.start, chunk."end",
        chunk.text, 0.0, document.kind, page.label, chunk.heading, coalesce(nullif(page.link, ''), document.link),
        page.author, page.dated, version.sha256 <> document.sha256, chunk.position, document.bot_id
    FROM unnest(%(ids)s::uuid[]) AS given (id)
    CROSS JOIN LATERAL (
        SELECT * FROM documents_chunk WHERE documents_chunk.id = given.id AND documents_chunk.enabled OFFSET 0
    ) AS chunk
    CROSS JOIN LATERAL (
        SELECT * FROM documents_document AS document
        WHERE document.id = chunk.document_id AND document.version_id = chunk.version_id
            AND document.bot_id = %(bot)s AND document.enabled AND document.state <> 'deleting' OFFSET 0
    ) AS document
    CROSS JOIN LATERAL (SELECT * FROM documents_documentversion WHERE id = chunk.version_id OFFSET 0) AS version
    CROSS JOIN LATERAL (
        SELECT * FROM documents_page WHERE version_id = chunk.version_id AND number = chunk.page OFFSET 0
    ) AS page
    WHERE EXISTS (SELECT FROM bots_bot WHERE id = %(bot)s AND deleted_at IS NULL)
"""


def of_bots(bots: Bots, document: str = "document__") -> Q:
    return Q(**({f"{document}bot": bots} if isinstance(bots, Bot) else {f"{document}bot__in": bots}))


_SHOWN = (
    "document__title", "document__kind", "document__link", "document__sha256", "document__bot_id", "version__number",
    "version__sha256", "position", "page", "start", "end", "text", "heading",
)  # fmt: skip


def _passage(chunk: Any, score: float, *, named: bool) -> LivePassage:
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
        position=chunk.position,
        bot_id=chunk.document.bot_id,
        bot_name=chunk.document.bot.name if named else "",
    )


def page_text(*, version_id: UUID, page: int) -> str:
    """The stored text of a page, also of a version that no longer serves. Raises DocumentNotFound."""
    rows = Page.objects.filter(version_id=version_id, number=page).exclude(version__document__state=State.DELETING)
    text = rows.values_list("text", flat=True).first()
    if text is None:
        raise DocumentNotFound
    return text


def widened(*, passages: Sequence[LivePassage], neighbours: int, limit: int) -> list[LivePassage]:
    """The best `limit`, each with so many passages before and after it on its page, as one text. Two that then meet
    become one in the better one's place, so that nothing stands in two of them and `limit` still come where there are
    so many. One that is switched off ends the widening; a curated answer is never widened.
    """
    near = _near(passages, neighbours)
    chosen: list[LivePassage] = []
    for passage in passages:
        span = _span(passage, near, neighbours)
        touching = [one for one in chosen if _touch(one, passage, span)]
        if not touching:
            if len(chosen) == limit:
                break
            chosen.append(replace(passage, start=span[0], end=span[1]))
            continue
        first = touching[0]
        start, end = min(span[0], *(one.start for one in touching)), max(span[1], *(one.end for one in touching))
        chosen = [
            replace(one, start=start, end=end) if one is first else one for one in chosen if one not in touching[1:]
        ]
    return _with_texts(chosen, {passage.chunk_id: passage for passage in passages})


def _near(passages: Sequence[LivePassage], neighbours: int) -> dict[tuple[UUID, int], dict[int, tuple[int, int]]]:
    """By version and page: the spans of the passages that stand there, by position."""
    wanted = Q()
    for one in passages:
        around = (one.position - neighbours, one.position + neighbours)
        if one.kind != Kind.QUESTIONS:
            wanted |= Q(version=one.version_id, page=one.page, position__range=around)
    found: dict[tuple[UUID, int], dict[int, tuple[int, int]]] = {}
    if wanted:
        rows = Chunk.objects.filter(wanted, enabled=True)
        for version, page, position, start, end in rows.values_list("version", "page", "position", "start", "end"):
            found.setdefault((version, page), {})[position] = (start, end)
    return found


def _span(
    passage: LivePassage, near: dict[tuple[UUID, int], dict[int, tuple[int, int]]], neighbours: int
) -> tuple[int, int]:
    start, end = passage.start, passage.end
    spans = near.get((passage.version_id, passage.page), {})
    for step in (-1, 1):
        for distance in range(1, neighbours + 1):
            other = spans.get(passage.position + step * distance)
            if other is None:
                break
            start, end = min(start, other[0]), max(end, other[1])
    return start, end


def _touch(one: LivePassage, passage: LivePassage, span: tuple[int, int]) -> bool:
    same = (one.version_id, one.page) == (passage.version_id, passage.page)
    return same and one.start < span[1] and span[0] < one.end


def _with_texts(passages: Sequence[LivePassage], before: dict[UUID, LivePassage]) -> list[LivePassage]:
    """Cut anew out of their pages, where they are longer than they were; without those whose page has just gone."""
    longer = [one for one in passages if (one.start, one.end) != (before[one.chunk_id].start, before[one.chunk_id].end)]
    pages = _pages({(one.version_id, one.page) for one in longer})
    cut = {one.chunk_id: pages.get((one.version_id, one.page), "")[one.start : one.end] for one in longer}
    texts = [replace(one, text=cut.get(one.chunk_id, one.text)) for one in passages]
    return [one for one in texts if one.text]


def _pages(places: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], str]:
    wanted = Q()
    for version, page in places:
        wanted |= Q(version=version, number=page)
    rows = Page.objects.filter(wanted).values_list("version", "number", "text") if wanted else ()
    return {(version, number): text for version, number, text in rows}
