import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from backend.bots.models import Bot
from backend.core import jobs
from backend.core.text import clean_text
from backend.documents import services as documents
from backend.documents.errors import NothingToRetry
from backend.documents.models import Document, State
from backend.sources import claims
from backend.sources.connectors import registry
from backend.sources.errors import (
    DuplicateSource,
    NothingToResolve,
    SourceBusy,
    SourceNotFound,
    SourcePaused,
    TooManySources,
)
from backend.sources.models import AT_REST, Extent, Item, ItemState, Source, SourceState

RETRY = "retry"
DISMISS = "dismiss"
_AT_WORK = (SourceState.QUEUED, SourceState.SYNCING)


def limits() -> dict[str, Any]:
    return {
        "kinds": registry.kinds(),
        "sources": settings.SOURCES_LIMIT,
        "items": settings.SOURCE_ITEMS_LIMIT,
        "pages": settings.WEB_PAGES_LIMIT,
        "every_minutes": settings.SOURCE_MINUTES_MIN,
    }


def create_source(
    *, bot: Bot, kind: str, configuration: Mapping[str, Any], title: str = "", every_minutes: int | None = None
) -> Source:
    """Its first sync is queued. Raises SourceKindUnknown, SourceInvalid, TooManySources, DuplicateSource."""
    prepared = registry.find(kind).prepare(bot=bot, kind=kind, configuration=configuration)
    source = Source(
        bot=bot,
        kind=kind,
        title=_title(title) or _title(prepared.title) or kind,
        link=clean_text(prepared.link)[:2000],
        identity=hashlib.sha256(prepared.identity.encode("utf-8", "surrogatepass")).hexdigest(),
        configuration=dict(prepared.configuration),
        every_minutes=every_minutes,
    )
    try:
        with transaction.atomic():
            _check_count(bot)
            source.save(force_insert=True)
            claims.wake(source.pk)
    except IntegrityError as exc:
        _refuse_duplicate(source)
        raise SourceNotFound from exc  # the bot went away meanwhile
    return _reread(source)


def _title(title: str) -> str:
    return " ".join(clean_text(title).split())[:300]


def _check_count(bot: Bot) -> None:
    """Of parallel requests none slips past: they wait for each other at the bot's row."""
    Bot.objects.select_for_update(no_key=True).filter(pk=bot.pk).first()
    if Source.objects.live().filter(bot=bot).count() >= settings.SOURCES_LIMIT:
        raise TooManySources(details=limits())


def _refuse_duplicate(source: Source) -> None:
    same = Source.objects.live().filter(bot=source.bot, kind=source.kind, identity=source.identity).first()
    if same is not None:
        raise DuplicateSource(details={"id": str(same.pk), "title": same.title})


def update_source(*, source: Source, changes: Mapping[str, Any]) -> Source:
    """Set any of title, every_minutes, paused and enabled. Raises SourceNotFound."""
    with transaction.atomic():
        locked = _locked(source)
        if "title" in changes:
            _row(locked).update(title=_title(changes["title"]) or locked.title)
        if "every_minutes" in changes:
            _schedule(locked, changes["every_minutes"])
        if changes.get("enabled", locked.enabled) != locked.enabled:
            _switch(locked, enabled=changes["enabled"])
        if changes.get("paused", locked.paused) != locked.paused:
            _pause(locked) if changes["paused"] else _resume(locked)
        _row(locked).update(updated_at=Now())
    return _reread(source)


def _schedule(source: Source, every_minutes: int | None) -> None:
    following = None if every_minutes is None else Now() + timedelta(minutes=every_minutes)
    _row(source).update(every_minutes=every_minutes, next_sync_at=following)


def _switch(source: Source, *, enabled: bool) -> None:
    _row(source).update(enabled=enabled)
    documents.set_enabled(documents_queryset=Document.objects.filter(items__source=source), enabled=enabled)


def _pause(source: Source) -> None:
    """Also takes it from the worker that is at it; its run stays where it is."""
    _row(source).update(paused=True)
    _row(source).filter(state__in=_AT_WORK).update(
        state=SourceState.IDLE, fence=F("fence") + 1, lease_until=None, wake_at=None
    )


def _resume(source: Source) -> None:
    """A run that was cut off goes on; otherwise the next is due when it was."""
    _row(source).update(paused=False)
    unfinished = Q(cursor__isnull=False) | Q(run=0)
    claims.queue(_row(source).filter(unfinished, state__in=AT_REST), source.pk)


def sync_now(*, source: Source, full: bool = False) -> Source:
    """`full` reads everything anew. Raises SourcePaused, SourceBusy: a place that asked for patience is not hurried."""
    with transaction.atomic():
        locked = _locked(source)
        if locked.paused:
            raise SourcePaused
        extent = Extent.FULL if full else Extent.USUAL
        if not claims.queue(_row(locked).filter(state__in=AT_REST), locked.pk, extent=extent):
            until = locked.wake_at.isoformat() if locked.wake_at else None
            raise SourceBusy(details={"state": locked.state, "until": until})
    return _reread(source)


def resolve_item(*, source: Source, item: Item, action: str) -> Item:
    """RETRY tries it again, DISMISS keeps it out of the list of errors. Raises NothingToResolve."""
    with transaction.atomic():
        locked = _locked(source)
        if not _resolve(locked, Item.objects.filter(pk=item.pk, source=locked), action):
            raise NothingToResolve
    item.refresh_from_db()
    return item


def resolve_all(*, source: Source, action: str) -> int:
    """The same with every item that has failed. Returns how many there were."""
    with transaction.atomic():
        locked = _locked(source)
        return _resolve(locked, failed_items(locked), action)


def failed_items(source: Source) -> QuerySet[Item]:
    """What could not be read, and what was read and could not be indexed."""
    return with_errors(Item.objects.filter(source=source))


def with_errors(items: QuerySet[Item]) -> QuerySet[Item]:
    unread = Q(state=ItemState.FAILED)
    unindexed = Q(state=ItemState.OK, document__state=State.FAILED)
    return items.filter(unread | unindexed)


def _resolve(source: Source, items: QuerySet[Item], action: str) -> int:
    chosen = list(items.select_related("document"))
    if action == DISMISS:
        failed = [item.pk for item in chosen if _has_failed(item)]
        return Item.objects.filter(pk__in=failed).update(state=ItemState.DISMISSED)
    indexed_anew = sum(_retry_document(item) for item in chosen)
    unread = [item.pk for item in chosen if item.state in (ItemState.FAILED, ItemState.SKIPPED, ItemState.DISMISSED)]
    pending = Item.objects.filter(pk__in=unread).update(state=ItemState.PENDING, sha256="", validators={})
    if pending and not source.paused:
        claims.queue(_row(source).filter(state__in=AT_REST, cursor__isnull=True), source.pk, extent=Extent.PENDING)
    return indexed_anew + pending


def _has_failed(item: Item) -> bool:
    document_failed = item.document is not None and item.document.state == State.FAILED
    return item.state in (ItemState.FAILED, ItemState.PENDING) or (item.state == ItemState.OK and document_failed)


def _retry_document(item: Item) -> bool:
    if item.state not in (ItemState.OK, ItemState.DISMISSED) or item.document is None:
        return False
    try:
        documents.retry(document=item.document)
    except NothingToRetry:
        return False
    Item.objects.filter(pk=item.pk).update(state=ItemState.OK)
    return True


def delete_source(*, source: Source) -> None:
    """Its documents answer nothing from this moment on; a job deletes them, and then the source."""
    with transaction.atomic():
        doomed = Source.objects.filter(pk=source.pk).exclude(state=SourceState.DELETING)
        if doomed.update(state=SourceState.DELETING, fence=F("fence") + 1, wake_at=None, updated_at=Now()):
            documents.set_enabled(documents_queryset=Document.objects.filter(items__source=source), enabled=False)
            jobs.enqueue(claims.ERASE, source_id=str(source.pk))


def _locked(source: Source) -> Source:
    locked: Source | None = Source.objects.select_for_update().filter(pk=source.pk).exclude(
        state=SourceState.DELETING
    ).first()  # fmt: skip
    if locked is None:
        raise SourceNotFound
    return locked


def _row(source: Source) -> Any:
    return Source.objects.filter(pk=source.pk)


def _reread(source: Source) -> Source:
    source.refresh_from_db()
    return source
