"""A running answer in memory. It belongs to the server and not to the request that asked for it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings

from backend.conversations.endings import Outcome
from backend.conversations.models import Answer
from backend.conversations.services import OpenedTurn
from backend.core.event_stream import happens
from backend.documents.passages import LivePassage


@dataclass(frozen=True, slots=True)
class Event:
    """One event for the reader. `position` counts the characters of the answer up to and including this event."""

    name: str
    data: dict[str, Any]
    position: int


def meta_event(answer: Answer) -> Event:
    ids = {"answer_id": answer.pk, "message_id": answer.message_id, "conversation_id": answer.conversation_id}
    shown = {name: str(value) for name, value in ids.items()}
    return Event("meta", {**shown, "model": answer.model, "curated": answer.curated}, 0)


@dataclass(slots=True, eq=False)
class Turn:
    """One running answer and everything its readers need; kept until the last of them has read its end."""

    opened: OpenedTurn
    request_id: str
    text: str = ""
    passages: Sequence[LivePassage] = ()
    ending: list[Event] = field(default_factory=list)
    ended: bool = False
    readers: int = 0
    halted_by: str = ""
    work: "asyncio.Task[Outcome] | None" = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def answer_id(self) -> UUID:
        return self.opened.answer.pk

    def show(self, text: str) -> None:
        self.text += text
        self._wake()

    def end(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        self.ending = [Event(name, data, len(self.text)) for name, data in events]
        self.ended = True
        self._wake()

    def halt(self, reason: str) -> None:
        """Cancel the work, once; `reason` decides what is written and charged."""
        if self.work is not None and not self.work.done() and not self.halted_by:
            self.halted_by = reason
            self.work.cancel()

    async def finished(self) -> None:
        """Wait for the end as one of its readers."""
        async for _ in self.read():
            continue

    async def read(self, after: int = 0) -> AsyncIterator[Event | None]:
        """Everything from character `after` on, then the end; None as a heartbeat while nothing happens.

        Readers share the one text and keep only their place in it: a slow one costs no memory and gets longer deltas.
        """
        self.readers += 1
        try:
            yield meta_event(self.opened.answer)
            while True:
                changed = self._changed
                if len(self.text) > after:
                    piece, after = self.text[after:], len(self.text)
                    yield Event("delta", {"text": piece}, after)
                elif self.ended:
                    for event in self.ending:
                        yield event
                    return
                elif not await happens(changed, settings.STREAM_HEARTBEAT.total_seconds()):
                    yield None
        finally:
            self.readers -= 1
            self._leave_alone_after_grace()

    def expect_a_reader(self) -> None:
        self._leave_alone_after_grace()

    def _leave_alone_after_grace(self) -> None:
        if not self.readers and not self.ended:
            seconds = settings.TURN_ABANDON_GRACE.total_seconds()
            asyncio.get_running_loop().call_later(seconds, self._halt_if_alone)

    def _halt_if_alone(self) -> None:
        if not self.readers:
            self.halt("abandoned")

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
