"""What reads a place of one kind, and what it may do while it reads. An app that brings a connector registers it when
it is ready; `running.Run` is what `sync` is handed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from django.db.models import QuerySet

from backend.bots.models import Bot
from backend.documents.models import Kind
from backend.sources.errors import SourceKindUnknown
from backend.sources.models import Item, Source


class SyncPostponed(Exception):
    """The place asks for patience: the worker is free, and the run goes on from its cursor after `delay`."""

    def __init__(self, delay: timedelta, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.delay = delay
        self.code = code
        self.message = message
        self.hint = hint


class SyncFailed(Exception):
    """The run is over, and the place as a whole could not be read. What was read before stays."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration that can be read. `identity` tells this place from every other of its kind; a bot has it once."""

    configuration: Mapping[str, Any]
    identity: str
    title: str
    link: str = ""


class Run(Protocol):
    """One reading of a source. Every method but `count` raises LostClaim when the source is no longer ours, and
    `check` and `rest` also Draining when the process is about to stop; let both rise."""

    @property
    def source(self) -> Source: ...

    @property
    def cursor(self) -> dict[str, Any]:
        """What `save` was given last, also by a worker that died since; empty when the run begins."""

    @property
    def partial(self) -> bool:
        """Only `pending()` is asked for. A connector that cannot read single items reads everything."""

    @property
    def full(self) -> bool:
        """A person wants everything read anew, also what is usually taken as known."""

    def check(self) -> None:
        """To be called at least every few seconds, and before each request."""

    def rest(self, seconds: float) -> None:
        """Wait, awake to what `check` tells."""

    def save(self, cursor: Mapping[str, Any]) -> None:
        """Remember how far the run has come: JSON. What was put before is kept in any case. Raises TurnOver, which is
        to rise as well, when others are to have a turn: the run then goes on from this cursor."""

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
        """Its content as it is now: a new document, a new version beside the old one, or nothing where it is the same.
        Returns whether anything changed. A content that cannot be a document becomes the item's error. Without
        `format_name` the format is recognised by content and file name. `fingerprint` is the sha256 of what matters of
        the content, where that is less than all of it."""

    def seen(self, external_id: str, **validators: str) -> None:
        """It is there, and unchanged."""

    def fail(
        self, external_id: str, *, code: str, message: str, hint: str = "", title: str = "", link: str = ""
    ) -> None:
        """It could not be read this time. Its document stays as it is."""

    def missing(self, external_id: str, *, code: str, message: str, hint: str = "") -> None:
        """The place says that it is gone. Believed in the second run in a row; until then it has failed."""

    def remove(self, external_id: str) -> None:
        """It is gone: its document is deleted, and the item forgotten. One that is not known is no error."""

    def count(self, name: str, n: int = 1) -> None:
        """Add to a number the owner sees, such as "skipped_service". Written down with the next of the others."""

    def item(self, external_id: str) -> Item | None: ...

    def items(self) -> QuerySet[Item]:
        """All that are known."""

    def unseen(self) -> QuerySet[Item]:
        """Those that were neither put, seen nor failed in this run."""

    def pending(self) -> QuerySet[Item]:
        """Those their owner wants tried again."""


class Connector(Protocol):
    """`document_kind` is what its documents are. `prepare` validates and canonicalises what a person asked for, without
    asking the place, and raises SourceInvalid. `sync` reads, and raises SyncPostponed or SyncFailed. `forget` drops
    what the connector holds elsewhere about a source that is being deleted; it may be called again."""

    @property
    def kinds(self) -> Sequence[str]: ...

    @property
    def document_kind(self) -> Kind: ...

    def prepare(self, *, bot: Bot, kind: str, configuration: Mapping[str, Any]) -> Prepared: ...

    def sync(self, run: Run) -> None: ...

    def forget(self, source: Source) -> None: ...


@dataclass(slots=True)
class Registry:
    _by_kind: dict[str, Connector] = field(default_factory=dict)

    def register(self, connector: Connector) -> None:
        for kind in connector.kinds:
            self._by_kind[kind] = connector

    def find(self, kind: str) -> Connector:
        """Raises SourceKindUnknown."""
        if kind not in self._by_kind:
            raise SourceKindUnknown(details={"kinds": self.kinds()})
        return self._by_kind[kind]

    def kinds(self) -> list[str]:
        return sorted(self._by_kind)


registry = Registry()
register: Callable[[Connector], None] = registry.register
