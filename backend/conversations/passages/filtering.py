"""What a search is narrowed to: by request, or by what the question itself names.

A filter on documents goes to the agent as their ids. One on pages or headings is put to the rows as well, after the
search.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, Func, Q, QuerySet, TextField, Value
from django.db.models.functions import Concat, Length, Lower

from agent_service.contract import MAX_DOCUMENTS
from backend.documents.models import Chunk, Document, State
from backend.documents.passages import Bots, of_bots

SHORTEST_TITLE = 4
MOST_TITLES = 20
_YEAR = re.compile(r"(?<![\d.,-])(?:1[89]|20)\d\d(?![\d]|[.,-]\d)")
_DAY = re.compile(r"(?<!\d)((?:1[89]|20)\d\d)-(\d\d)-(\d\d)(?!\d)")
_SEPARATORS = re.compile(r"[\W_]+")
_SUFFIX = r"\.[A-Za-z0-9]{1,5}$"


@dataclass(frozen=True, slots=True)
class Filters:
    """Empty filters nothing out. `dated` is of a page that has a date of its own, both days included (UTC); `heading`
    is what the headings that a passage stands under begin with. Only sources of bots that `asker` owns can be named:
    of a public bot others see what its documents say, and not where its owner has them from."""

    asker: UUID | None = None
    sources: Sequence[UUID] = ()
    documents: Sequence[UUID] = ()
    dated_from: date | None = None
    dated_to: date | None = None
    heading: str = ""

    def __bool__(self) -> bool:
        return bool(self.sources or self.documents or self.of_pages)

    @property
    def of_pages(self) -> bool:
        return bool(self.dated_from or self.dated_to or self.heading)

    def passages(self, chunk: str = "") -> Q:
        """On passages that are annotated with their page as `page_dated`."""
        wanted = Q()
        if self.dated_from:
            wanted &= Q(page_dated__gte=_midnight(self.dated_from))
        if self.dated_to:
            wanted &= Q(page_dated__lt=_midnight(self.dated_to) + timedelta(days=1))
        if self.heading:
            wanted &= Q(**{f"{chunk}heading__istartswith": self.heading})
        return wanted


NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What is left to search. `documents` is None for all; `drawn` names what the question itself narrows it by."""

    filters: Filters = NO_FILTERS
    documents: list[UUID] | None = None
    drawn: Sequence[str] = ()
    notes: Sequence[str] = field(default=())

    @property
    def leaves_nothing(self) -> bool:
        return self.documents == []


EVERYTHING = Narrowed()


def narrowed(*, bots: Bots, filters: Filters, question: str = "") -> Narrowed:
    """`question` is given where filters are to be drawn from it: they come on top, and one that leaves nothing is
    dropped, which the notes tell."""
    documents = _documents(bots, filters) if filters else None
    asked = Narrowed(filters, documents)
    if not question or asked.leaves_nothing:
        return asked
    return _drawn(bots, question, asked)


def without_drawn(given: Narrowed, *, bots: Bots) -> Narrowed:
    """As it was asked for, when what was drawn has left nothing."""
    return replace(narrowed(bots=bots, filters=given.filters), notes=[*given.notes, "drawn_filters_dropped"])


def _live(bots: Bots) -> QuerySet[Document]:
    documents: QuerySet[Document] = (
        Document.objects.filter(of_bots(bots, ""), enabled=True)
        .exclude(state=State.DELETING)
        .exclude(version=None)
        .order_by("-pk")
    )
    return documents


def _documents(bots: Bots, filters: Filters) -> list[UUID]:
    """The newest MAX_DOCUMENTS of those that have anything to give."""
    documents = _live(bots)
    if filters.sources:
        documents = documents.filter(items__source__in=filters.sources, items__source__bot__owner_id=filters.asker)
    if filters.documents:
        documents = documents.filter(pk__in=filters.documents)
    if filters.of_pages:
        chunks = (
            Chunk.objects.filter(version=F("document__version"), version__pages__number=F("page"), enabled=True)
            .filter(of_bots(bots))
            .annotate(page_dated=F("version__pages__dated"))
            .filter(filters.passages())
        )
        documents = documents.filter(pk__in=chunks.values("document"))
    return list(dict.fromkeys(documents.values_list("pk", flat=True)[:MAX_DOCUMENTS]))


def _drawn(bots: Bots, question: str, asked: Narrowed) -> Narrowed:
    """By titles that the question names, else by its day or year; each only where something is left."""
    notes: list[str] = []
    for name, found in (("title", _titled(bots, question)), ("date", _dated(bots, question))):
        if found is None:
            continue
        left = found if asked.documents is None else [one for one in found if one in set(asked.documents)]
        if left:
            return Narrowed(asked.filters, left, drawn=[name])
        notes.append(f"drawn_{name}_dropped")
    return replace(asked, notes=notes)


def _titled(bots: Bots, question: str) -> list[UUID] | None:
    """Documents whose whole title stands in the question; None where it names none."""
    said = f" {_SEPARATORS.sub(' ', question).strip().lower()} "
    plain = _replaced(_replaced(F("title"), _SUFFIX, ""), r"[\W_]+", " ")
    title = Lower(Func(plain, function="btrim"))
    documents = (
        _live(bots)
        .annotate(said=Value(said, TextField()), plain=Concat(Value(" "), title, Value(" "), output_field=TextField()))
        .annotate(length=Length("plain"))
        .filter(length__gte=SHORTEST_TITLE + 2, said__contains=F("plain"))
        .order_by("-length")
    )
    return list(documents.values_list("pk", flat=True)[:MOST_TITLES]) or None


def _dated(bots: Bots, question: str) -> list[UUID] | None:
    """Documents with a page of the day or years that the question names, or with the year in their title; None where
    it names none."""
    spans = _spans(question)
    if not spans:
        return None
    wanted = Q()
    for first, last in spans:
        wanted |= Q(version__pages__dated__gte=_midnight(first), version__pages__dated__lt=_midnight(last + _A_DAY))
        if (first.month, first.day, last.month, last.day) == (1, 1, 12, 31):
            wanted |= Q(title__contains=str(first.year))
    return list(dict.fromkeys(_live(bots).filter(wanted).values_list("pk", flat=True)[:MAX_DOCUMENTS]))


_A_DAY = timedelta(days=1)


def _spans(question: str) -> list[tuple[date, date]]:
    days: list[tuple[date, date]] = []
    for match in _DAY.finditer(question):
        try:
            day = date(*map(int, match.groups()))
        except ValueError:
            continue
        days.append((day, day))
    return days or [(date(int(year), 1, 1), date(int(year), 12, 31)) for year in dict.fromkeys(_YEAR.findall(question))]


def _replaced(text: Any, pattern: str, new: str) -> Func:
    return Func(text, Value(pattern), Value(new), Value("g"), function="regexp_replace", output_field=TextField())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
