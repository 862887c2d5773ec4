"""Which pair answers a question, and which passages of pairs still hold."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import OuterRef, QuerySet

from backend.curated.models import Pair
from backend.curated.phrasing import key_of
from backend.documents.models import Kind, Page
from backend.documents.passages import LivePassage


def matching(question: str, *, bot: OuterRef | UUID) -> QuerySet[Pair]:
    """The pair of the bot that answers `question`; at most one."""
    key = key_of(question)
    return with_key(key, bot=bot) if key else Pair.objects.none()


def with_key(key: str, *, bot: OuterRef | UUID) -> QuerySet[Pair]:
    """`key` as `key_of` makes it; no pair has the empty one."""
    pairs: QuerySet[Pair] = Pair.objects.saying().filter(book__document__bot=bot, phrasings__key=key)
    return pairs


def answering(pair_id: UUID) -> Pair | None:
    """None where it was switched off or deleted just now."""
    pairs = Pair.objects.saying().select_related("book__document").prefetch_related("phrasings")
    pair: Pair | None = pairs.filter(pk=pair_id).first()
    return pair


def cited(*, pair: Pair) -> LivePassage | None:
    """The answer where it stands in the document that serves; None while it does not stand there yet."""
    document = pair.book.document
    pages = Page.objects.filter(version=document.version_id, label=pair.written().label).select_related("version")
    page = pages.first()
    start = page.text.rfind(pair.answer) if page else -1
    if page is None or start < 0:
        return None
    return LivePassage(
        chunk_id=pair.pk,
        document_id=document.pk,
        document_title=document.title,
        version_id=page.version_id,
        version_number=page.version.number,
        page=page.number,
        start=start,
        end=start + len(pair.answer),
        text=pair.answer,
        score=1.0,
        kind=document.kind,
        label=page.label,
        link=page.link or document.link,
        changed=page.version.sha256 != document.sha256,
    )


def still_said(passages: Sequence[LivePassage]) -> list[LivePassage]:
    """Without those of pairs that were changed, switched off or deleted since their document was read. One query more,
    and only where there are any of pairs."""
    books = {passage.document_id for passage in passages if passage.kind == Kind.QUESTIONS}
    if not books:
        return [*passages]
    pairs = Pair.objects.saying().filter(book__in=books).prefetch_related("phrasings")
    texts = {(pair.book_id, text.label): text.text for pair in pairs for text in [pair.written()]}
    return [
        passage
        for passage in passages
        if passage.kind != Kind.QUESTIONS or passage.text in texts.get((passage.document_id, passage.label), "")
    ]
