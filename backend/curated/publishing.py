"""The document follows the pairs, a moment later, so that many changes in a row are read and embedded once."""

import logging
from datetime import timedelta
from uuid import UUID

from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from backend.core import jobs
from backend.core.errors import ChatSphereError
from backend.curated.models import Book
from backend.documents import questions
from backend.documents import services as documents

logger = logging.getLogger(__name__)

PUBLISH = "curated.publish"
DELAY = timedelta(seconds=2)
OVERDUE = timedelta(seconds=30)


def changed(book_id: UUID) -> None:
    """Inside the transaction of the change."""
    Book.objects.filter(pk=book_id).update(revision=F("revision") + 1, updated_at=Now())
    jobs.enqueue(PUBLISH, queueing_lock=f"{PUBLISH}:{book_id}", delay=DELAY, book_id=str(book_id))


def publish(book_id: UUID) -> bool:
    """Write the pairs that are switched on into the book's document; whether that changed it. Where none is, the
    document stays as it is: nothing that no pair says is answered from it (see `answers.still_said`)."""
    with transaction.atomic():
        books = Book.objects.live().select_for_update(of=["self"]).select_related("document")
        book = books.filter(pk=book_id, published__lt=F("revision")).first()
        if book is None:
            return False
        pairs = [
            pair.written() for pair in book.pairs.filter(enabled=True).prefetch_related("phrasings").order_by("number")
        ]
        Book.objects.filter(pk=book_id).update(published=book.revision)
        if not pairs:
            return False
        content = ContentFile(questions.written(pairs))
        return documents.replace_document(document=book.document, file=content, format_name="questions")


def publish_overdue() -> int:
    """What no job came to; how many there were."""
    overdue = Book.objects.live().filter(published__lt=F("revision"), updated_at__lt=Now() - OVERDUE)
    books = list(overdue.values_list("pk", flat=True)[:100])
    for book_id in books:
        try:
            publish(book_id)
        except ChatSphereError as exc:  # such as a quota: the next look may find it mended
            logger.warning("questions of document %s: %s", book_id, exc.code)
    return len(books)
