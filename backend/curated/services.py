from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from backend.bots.models import Bot
from backend.core.text import clean_text
from backend.curated import publishing
from backend.curated.errors import DuplicateQuestion, QuestionSaysNothing, TooManyQuestions
from backend.curated.models import Book, Pair, Phrasing
from backend.curated.phrasing import key_of
from backend.documents import questions as written
from backend.documents import services as documents
from backend.documents.models import Kind

TITLE = "Questions and answers"


def create_pair(*, bot: Bot, questions: Sequence[str], answer: str, link: str = "", enabled: bool = True) -> Pair:
    """The bot's first pair makes its document as well. Raises DuplicateQuestion, QuestionSaysNothing, TooManyQuestions
    and what `documents.upload_document` raises."""
    asked, answer, link = _clean_questions(questions), clean_text(answer).strip(), clean_text(link).strip()
    with transaction.atomic():
        Bot.objects.select_for_update(no_key=True).get(pk=bot.pk)  # of parallel ones each sees the book of the first
        book = Book.objects.live().filter(document__bot=bot).first()
        if book is None:
            book = _new_book(bot, written.Pair(1, asked, answer, link))
        elif book.pairs.count() >= settings.QUESTIONS_LIMIT:
            raise TooManyQuestions(details={"limit": settings.QUESTIONS_LIMIT})
        Book.objects.filter(pk=book.pk).update(last_number=F("last_number") + 1)
        book.refresh_from_db(fields=["last_number"])
        pair: Pair = Pair.objects.create(book=book, number=book.last_number, answer=answer, link=link, enabled=enabled)
        _phrase(pair, asked)
        publishing.changed(book.pk)
    return _reread(pair.pk)


def change_pair(*, pair: Pair, changes: Mapping[str, Any]) -> Pair:
    """`changes` are of questions, answer, link and enabled; they hold from the next question on. Raises
    DuplicateQuestion and QuestionSaysNothing."""
    fields = {name: changes[name] for name in ("enabled",) if name in changes}
    fields |= {name: clean_text(changes[name]).strip() for name in ("answer", "link") if name in changes}
    with transaction.atomic():
        Pair.objects.filter(pk=pair.pk).update(updated_at=Now(), **fields)
        if "questions" in changes:
            Phrasing.objects.filter(pair=pair).delete()
            _phrase(pair, _clean_questions(changes["questions"]))
        publishing.changed(pair.book_id)
    return _reread(pair.pk)


def delete_pair(*, pair: Pair, requested_by: UUID | None = None) -> None:
    """It answers nothing from now on. With the last pair goes the document."""
    with transaction.atomic():
        book = Book.objects.select_for_update().select_related("document").get(pk=pair.book_id)
        pair.delete()
        if book.pairs.exists():
            publishing.changed(book.pk)
        else:
            documents.delete_document(document=book.document, requested_by=requested_by)


def _new_book(bot: Bot, first: written.Pair) -> Book:
    document = documents.upload_document(
        bot=bot,
        file=ContentFile(written.written([first])),
        filename="questions.json",
        title=TITLE,
        kind=Kind.QUESTIONS,
        format_name="questions",
    )
    book: Book = Book.objects.create(document=document)
    return book


def _clean_questions(questions: Sequence[str]) -> list[str]:
    """One line each, none of them twice."""
    asked: dict[str, str] = {}
    for question in questions:
        line = " ".join(clean_text(question).split())
        asked.setdefault(key_of(line), line)
    if "" in asked:
        raise QuestionSaysNothing
    return [*asked.values()]


def _phrase(pair: Pair, asked: Sequence[str]) -> None:
    rows = [Phrasing(pair=pair, book_id=pair.book_id, text=line, key=key_of(line)) for line in asked]
    try:
        with transaction.atomic():
            Phrasing.objects.bulk_create(rows)
    except IntegrityError as exc:
        other = Phrasing.objects.filter(book=pair.book_id, key__in=[row.key for row in rows]).first()
        if other is None:
            raise
        raise DuplicateQuestion(details={"id": str(other.pair_id), "question": other.text}) from exc


def _reread(pk: UUID) -> Pair:
    pair: Pair = Pair.objects.select_related("book__document").prefetch_related("phrasings").get(pk=pk)
    return pair
