"""What happens to a bot's documents, as server-sent events for its owner.

The rows are polled: once in a while for all streams of this process together, so that neither the number of streams nor
their idleness costs connections. An event carries the whole document as it is then, so one that is missed or told twice
does no harm. Its id is a moment of the database's clock.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from rest_framework.renderers import JSONRenderer

from backend.bots.models import Bot
from backend.core.database import database_now, in_database
from backend.core.event_stream import STILL_HERE, frame, happens
from backend.documents.models import Document, Erasure, State
from backend.documents.serializers import DocumentOutput
from backend.users.models import ApiKey, Session, User

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
RESTARTING = "restarting"
"""Why a stream ends when this process stops: its reader comes back with `Last-Event-ID`, and misses nothing."""
STREAMS_OF_ONE = 50
"""Of one person in this process; another one ends the oldest."""
# A row tells when it was written and shows when that was committed: what a poll looks back, to miss none.
OVERLAP = timedelta(seconds=30)
_SHOWN = (
    "state", "stage", "title", "filename", "format", "sha256", "link", "enabled", "review", "pages_done", "pages_total",
    "chunks_done", "chunks_total", "attempt", "wake_at", "error_code", "version_id",
)  # fmt: skip
_UNFINISHED = (State.QUEUED, State.PROCESSING, State.WAITING)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who watches, and by what right: a session or API key, or else a browser's login of this epoch."""

    user_id: UUID
    credential_id: UUID | None
    login_epoch: int


@dataclass(frozen=True, slots=True)
class Change:
    document_id: UUID
    name: str  # document or deleted
    data: Mapping[str, Any]
    position: int


@dataclass(slots=True, eq=False)
class Stream:
    """Of a document only the newest change waits, so a reader that is slow costs no memory."""

    bot_id: UUID
    viewer: Viewer
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: str = ""
    _waiting: dict[UUID, Change] = field(default_factory=dict)

    def tell(self, change: Change) -> None:
        self._waiting[change.document_id] = change
        self.changed.set()

    def end(self, code: str) -> None:
        self.ended = code
        self.changed.set()

    def take(self) -> list[Change]:
        taken, self._waiting = list(self._waiting.values()), {}
        self.changed.clear()
        return taken


@dataclass(frozen=True, slots=True)
class Polled:
    """`seen` is what was shown of each document that changed of late."""

    at: datetime
    seen: dict[UUID, tuple[Any, ...]]
    of_bots: list[tuple[UUID, Change]]
    of_owners: list[tuple[UUID, Change]]
    bots: frozenset[UUID]
    credentials: frozenset[UUID]
    epochs: dict[UUID, int]

    def ends(self, stream: Stream) -> str:
        """The code of why a stream is over, empty where it goes on."""
        if stream.bot_id not in self.bots:
            return "bot_deleted"
        viewer = stream.viewer
        if viewer.credential_id is not None:
            signed_in = viewer.credential_id in self.credentials
        else:
            signed_in = self.epochs.get(viewer.user_id) == viewer.login_epoch
        return "" if signed_in else "session_ended"


class Watch:
    """The streams of one event loop, and the one poll for all of them, which runs while there are any."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._streams: dict[Stream, None] = {}  # oldest first
        self._poller: asyncio.Task[None] | None = None
        self._stopping = False

    def join(self, stream: Stream) -> None:
        of_viewer = [other for other in self._streams if other.viewer.user_id == stream.viewer.user_id]
        if len(of_viewer) >= STREAMS_OF_ONE:
            of_viewer[0].end("too_many_streams")
            self.leave(of_viewer[0])
        self._streams[stream] = None
        if self._stopping:
            stream.end(RESTARTING)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())

    def stop(self) -> None:
        """Ends every stream, and each that still comes."""
        self._stopping = True
        for stream in self._streams:
            stream.end(RESTARTING)

    def leave(self, stream: Stream) -> None:
        self._streams.pop(stream, None)

    async def _poll(self) -> None:
        since: datetime | None = None
        seen: dict[UUID, tuple[Any, ...]] = {}
        while self._streams:
            streams = list(self._streams)
            try:
                polled = await in_database(_polled, since=since, seen=seen, streams=streams)
            except Exception:  # whatever it was, the streams would stay silent without a poll
                logger.exception("events of documents could not be read; trying again")
            else:
                since, seen = polled.at, polled.seen
                _tell(streams, polled)
            await asyncio.sleep(POLL_SECONDS)


def _tell(streams: Iterable[Stream], polled: Polled) -> None:
    for stream in streams:
        for bot_id, change in polled.of_bots:
            if stream.bot_id == bot_id:
                stream.tell(change)
        for owner_id, change in polled.of_owners:
            if stream.viewer.user_id == owner_id:
                stream.tell(change)
        if code := polled.ends(stream):
            stream.end(code)


_watch: Watch | None = None


def _watch_here() -> Watch:
    """That of the running event loop."""
    global _watch
    loop = asyncio.get_running_loop()
    if _watch is None or _watch.loop is not loop:
        _watch = Watch(loop)
    return _watch


def end_streams() -> None:
    """Of this process, which stops; on its event loop."""
    _watch_here().stop()


async def frames(*, bot_id: UUID, viewer: Viewer, after: int | None) -> AsyncIterator[bytes]:
    """`open`, then a `document` for each that is unfinished, or that changed since `after`; then every change as it
    happens, `deleted` among them, until the session ends, the bot is deleted, there are too many, or this process
    stops: `end`."""
    watch, stream = _watch_here(), Stream(bot_id, viewer)
    watch.join(stream)
    try:
        position, changes = await in_database(_opening, bot_id=bot_id, owner_id=viewer.user_id, after=after)
        yield frame("open", {"bot": str(bot_id)}, position)
        for change in changes:
            yield frame(change.name, change.data, change.position)
        shown, last = {change.document_id for change in changes}, position
        while True:
            if not await happens(stream.changed, settings.STREAM_HEARTBEAT.total_seconds()):
                yield STILL_HERE
                continue
            for change in stream.take():
                # What was polled before the opening was read, and told by it, is older than what it told.
                if change.position > position or change.document_id not in shown:
                    last = max(last, change.position)
                    yield frame(change.name, change.data, change.position)
            if stream.ended:
                yield frame("end", {"code": stream.ended}, last)
                return
    finally:
        watch.leave(stream)


def _opening(*, bot_id: UUID, owner_id: UUID, after: int | None) -> tuple[int, list[Change]]:
    now = database_now()
    documents = Document.objects.filter(bot=bot_id).select_related("version").order_by("pk")
    if after is None:
        return _position(now), [_change(row, now) for row in documents.filter(state__in=_UNFINISHED)]
    since = _moment(after) - OVERLAP
    changed = [_change(row, now) for row in documents.filter(updated_at__gt=since)]
    return _position(now), changed + [change for _, _, change in _erased([owner_id], since, now)]


def _polled(*, since: datetime | None, seen: Mapping[UUID, Any], streams: Collection[Stream]) -> Polled:
    now = database_now()
    window = (since or now) - OVERLAP
    bots, owners = {stream.bot_id for stream in streams}, {stream.viewer.user_id for stream in streams}
    rows = Document.objects.filter(bot__in=bots, updated_at__gt=window).select_related("version").order_by("pk")
    shown = {row: _shown(row) for row in rows}
    erased = list(_erased(owners, window, now))
    shown_by = [stream.viewer.credential_id for stream in streams if stream.viewer.credential_id]
    return Polled(
        at=now,
        seen={row.pk: fields for row, fields in shown.items()} | {pk: () for pk, _, _ in erased},
        of_bots=[(row.bot_id, _change(row, now)) for row, fields in shown.items() if seen.get(row.pk) != fields],
        of_owners=[(owner, change) for pk, owner, change in erased if pk not in seen],
        bots=frozenset(Bot.objects.live().filter(pk__in=bots).values_list("pk", flat=True)),
        credentials=frozenset(
            pk
            for model in (Session, ApiKey)
            for pk in model.objects.live().filter(pk__in=shown_by).values_list("pk", flat=True)
        ),
        epochs=dict(User.objects.filter(pk__in=owners, is_active=True).values_list("pk", "login_epoch")),
    )


def _shown(document: Document) -> tuple[Any, ...]:
    """What an owner sees; a worker that only renews its lease changes nothing of it."""
    return tuple(getattr(document, name) for name in _SHOWN)


def _erased(owners: Collection[UUID], since: datetime, now: datetime) -> Iterable[tuple[UUID, UUID, Change]]:
    """Documents of which nothing may be left but the word that they were deleted, each with its owner."""
    rows = Erasure.objects.filter(subject="document", owner_id__in=owners, requested_at__gt=since)
    for pk, owner_id, document_id in rows.order_by("pk").values_list("pk", "owner_id", "subject_id"):
        yield pk, owner_id, Change(document_id, "deleted", {"id": str(document_id)}, _position(now))


def _change(document: Document, now: datetime) -> Change:
    if document.state == State.DELETING:
        return Change(document.pk, "deleted", {"id": str(document.pk)}, _position(now))
    data = json.loads(JSONRenderer().render(DocumentOutput(document).data))
    return Change(document.pk, "document", data, _position(now))


def _position(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _moment(position: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=position)


def resume_position(headers: Any, query: Any) -> int | None:
    """Where a reader left off: `Last-Event-ID`, which browsers send by themselves, or `?after=`; None for a new one."""
    given = str(headers.get("Last-Event-ID") or query.get("after") or "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) <= 16 else None
