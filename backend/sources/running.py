"""What a connector does to a source while it reads it: the `Run` of `connectors`, on the rows."""

import hashlib
import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from backend.core.errors import ChatSphereError
from backend.core.text import clean_text
from backend.documents import files
from backend.documents import services as documents
from backend.documents.errors import DuplicateDocument, StorageUnavailable
from backend.documents.models import Document, Kind, State
from backend.sources import claims
from backend.sources.claims import Claim, TurnOver
from backend.sources.connectors import SyncPostponed
from backend.sources.heartbeat import Heartbeat
from backend.sources.models import EXTERNAL_ID_CHARS, Extent, Item, ItemState, Source

_STORAGE_PAUSE = timedelta(minutes=1)
_NAP_SECONDS = 0.2
_WELL = {"error_code": "", "error_message": "", "error_hint": ""}
_DELETED = {
    "error_code": "document_deleted",
    "error_message": "You deleted its document.",
    "error_hint": "Resolve it with a retry, to have it back.",
}


class SourceRun:
    """Every write happens in a transaction that holds the source's row under our fence: after a pause or a deletion
    nothing more of ours arrives."""

    def __init__(self, source: Source, claim: Claim, heartbeat: Heartbeat, *, document_kind: Kind) -> None:
        self._source = source
        self._claim = claim
        self._heartbeat = heartbeat
        self._kind = document_kind
        self._counts: Counter[str] = Counter(source.counts)
        self._turn_ends = time.monotonic() + settings.SOURCE_TURN_SECONDS

    @property
    def source(self) -> Source:
        return self._source

    @property
    def cursor(self) -> dict[str, Any]:
        return dict(self._source.cursor or {})

    @property
    def partial(self) -> bool:
        return bool(self._source.extent == Extent.PENDING)

    @property
    def full(self) -> bool:
        return bool(self._source.extent == Extent.FULL)

    @property
    def counts(self) -> dict[str, int]:
        return dict(self._counts)

    def check(self) -> None:
        self._heartbeat.check()

    def rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, _NAP_SECONDS))

    def save(self, cursor: Mapping[str, Any]) -> None:
        claims.write(self._claim, cursor=dict(cursor), counts=self._counts, failures=0)
        self._source.cursor = dict(cursor)
        if time.monotonic() > self._turn_ends:  # and only here, so that every turn has come further than the one before
            raise TurnOver

    def count(self, name: str, n: int = 1) -> None:
        self._counts[name] += n

    def item(self, external_id: str) -> Item | None:
        return self.items().filter(external_id=external_id).select_related("document").first()

    def items(self) -> QuerySet[Item]:
        return Item.objects.filter(source=self._source)

    def unseen(self) -> QuerySet[Item]:
        return self.items().exclude(run=self._source.run)

    def pending(self) -> QuerySet[Item]:
        return self.items().filter(state=ItemState.PENDING)

    def put(
        self,
        external_id: str,
        *,
        title: str,
        link: str,
        filename: str,
        content: bytes,
        format_name: str = "",
        fingerprint: str = "",
        **validators: str,
    ) -> bool:
        self.check()
        shown = {"title": files.shown_title(title), "link": clean_text(link)[:2000], "validators": validators}
        sha256 = fingerprint or hashlib.sha256(content).hexdigest()
        with transaction.atomic():
            claims.write(self._claim)
            item = self._known(external_id)
            if item is None:
                return False
            if not self._wanted(item, sha256, shown):
                return False
            try:
                with transaction.atomic():
                    new = self._store(item, title, link, filename, content, format_name)
            except ChatSphereError as exc:
                self._refused(item, exc, shown)
                return False
            renewed = {"sha256": sha256, "state": ItemState.OK, "changed_at": Now(), "document": item.document, **_WELL}
            self._touch(item, "new" if new else "changed", **shown, **renewed)
            return True

    def _known(self, external_id: str) -> Item | None:
        """The item's row, made where there is none; None where the source has as many as it may have."""
        item = self.item(external_id)
        if item is not None:
            return item
        if len(external_id) > EXTERNAL_ID_CHARS or self.items().count() >= settings.SOURCE_ITEMS_LIMIT:
            self._note("over_limit")
            return None
        return Item.objects.create(source=self._source, external_id=external_id)

    def _wanted(self, item: Item, sha256: str, shown: Mapping[str, Any]) -> bool:
        """Whether its content is to become a document, or the next version of one."""
        if _unwanted(item):
            self._touch(item, "skipped", state=ItemState.SKIPPED, **_DELETED)
            return False
        twins = self.items().filter(sha256=sha256, document__isnull=False).exclude(pk=item.pk)
        twin = twins.exclude(document__state=State.DELETING).first()
        if twin is not None:
            self._touch(item, "skipped", state=ItemState.SKIPPED, **{**shown, "validators": {}}, **_same_as(twin.link))
            return False
        if item.document is not None and item.sha256 == sha256:
            self._touch(item, "unchanged", state=ItemState.OK, **shown, **_WELL)
            return False
        return True

    def _store(self, item: Item, title: str, link: str, filename: str, content: bytes, format_name: str) -> bool:
        """Returns whether the document is new."""
        file = ContentFile(content)
        if item.document is not None:
            renamed = item.document.title != item.title
            documents.replace_document(
                document=item.document,
                file=file,
                filename=filename,
                title="" if renamed else title,
                link=link,
                format_name=format_name,
            )
            return False
        item.document = documents.upload_document(
            bot=self._source.bot,
            file=file,
            filename=filename,
            title=title,
            link=link,
            kind=self._kind,
            format_name=format_name,
        )
        if not self._source.enabled:
            row = Document.objects.filter(pk=item.document.pk)
            documents.set_enabled(documents_queryset=row, enabled=False)
        return True

    def _refused(self, item: Item, exc: ChatSphereError, shown: Mapping[str, Any]) -> None:
        if isinstance(exc, StorageUnavailable):
            raise SyncPostponed(_STORAGE_PAUSE, exc.code, exc.message) from exc
        if isinstance(exc, DuplicateDocument):
            same = _same_as(str(exc.details.get("title", "")))
            self._touch(item, "skipped", state=ItemState.SKIPPED, **{**shown, "validators": {}}, **same)
            return
        self._fail(item, exc.code, exc.message, "", **{**shown, "validators": {}})

    def seen(self, external_id: str, **validators: str) -> None:
        self.check()
        with transaction.atomic():
            claims.write(self._claim)
            item = self.item(external_id)
            if item is None:
                return
            if _unwanted(item):
                self._touch(item, "skipped", state=ItemState.SKIPPED, **_DELETED)
                return
            fields: dict[str, Any] = {"validators": validators} if validators else {}
            self._touch(item, "unchanged", state=ItemState.OK, **fields, **_WELL)

    def fail(
        self, external_id: str, *, code: str, message: str, hint: str = "", title: str = "", link: str = ""
    ) -> None:
        self.check()
        with transaction.atomic():
            claims.write(self._claim)
            item = self._known(external_id)
            if item is not None:
                shown = {"title": files.shown_title(title) if title else "", "link": clean_text(link)[:2000]}
                self._fail(item, code, message, hint, **{name: value for name, value in shown.items() if value})

    def _fail(self, item: Item, code: str, message: str, hint: str, **fields: Any) -> None:
        """One whose owner does not want to hear of it stays dismissed for as long as it is the same failure."""
        dismissed = item.state == ItemState.DISMISSED and item.error_code == code[:60]
        state = ItemState.DISMISSED if dismissed else ItemState.FAILED
        told = {"error_code": code[:60], "error_message": clean_text(message)[:500], "error_hint": hint[:500]}
        self._touch(item, "failed", state=state, **fields, **told)

    def missing(self, external_id: str, *, code: str, message: str, hint: str = "") -> None:
        """The place says that it is gone. Believed when it says so in two runs; until then it has failed."""
        self.check()
        with transaction.atomic():
            claims.write(self._claim)
            item = self._known(external_id)
            if item is None:
                return
            if item.missing or item.document_id is None:
                self._remove(item)
                return
            self._fail(item, code, message, hint, missing=1)

    def remove(self, external_id: str) -> None:
        self.check()
        with transaction.atomic():
            claims.write(self._claim)
            item = self.item(external_id)
            if item is not None:
                self._remove(item)

    def _remove(self, item: Item) -> None:
        if item.document is not None:
            documents.delete_document(document=item.document)
        item.delete()
        self._note("removed")

    def _touch(self, item: Item, count: str, **fields: Any) -> None:
        fields = {"missing": 0, **fields}
        Item.objects.filter(pk=item.pk).update(run=self._source.run, checked_at=Now(), **fields)
        self._note(count)

    def _note(self, count: str) -> None:
        self._counts[count] += 1
        claims.write(self._claim, counts=self._counts)


def _unwanted(item: Item) -> bool:
    """Whether its owner has deleted its document, and so does not want it back at each sync."""
    return item.left_out or (item.document is not None and item.document.state == State.DELETING)


def _same_as(other: str) -> dict[str, str]:
    message = f"It has the same content as {other or 'another document'}."
    return {"error_code": "duplicate_document", "error_message": message[:500], "error_hint": ""}
