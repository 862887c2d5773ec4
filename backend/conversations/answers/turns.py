"""A running answer in memory. It belongs to the server and not to the request that asked for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings

from agent_service import contract
from backend.conversations.answers.endings import Outcome
from backend.conversations.answers.steps import StepTaken
from backend.conversations.models import Answer
from backend.conversations.questions.opening import OpenedTurn
from backend.documents.passages import LivePassage

PIECE_CHARS = 64 * 1024
"""Of one delta at most: for a reader who takes nothing, it waits in memory several times over, as text and as bytes."""


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


@dataclass(slots=True)
class Said:
    """What the agent has told about the text that it has sent. `searching` is what was asked of models to find it."""

    request: contract.ChatRequest | None = None
    cited: contract.CitationsEvent | None = None
    follow_ups: list[str] = field(default_factory=list)
    usage: contract.Usage | None = None
    finish_reason: contract.FinishReason | None = None
    searching: list[contract.Usage] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Turn:
    """One running answer and everything its readers need; kept until the last of them has read its end.

    `saved` characters of the text are in the database. `told` are events that belong to a place in the text, such as a
    step that was taken there. `notes` tell of the search for the passages; `timings` are milliseconds, of stages or
    since the turn began.
    """

    opened: OpenedTurn
    request_id: str
    text: str = ""
    saved: int = 0
    passages: Sequence[LivePassage] = ()
    query: str = ""
    said: Said = field(default_factory=Said)
    notes: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    told: list[Event] = field(default_factory=list)
    steps: list[StepTaken] = field(default_factory=list)
    ending: list[Event] = field(default_factory=list)
    ended: bool = False
    readers: int = 0
    halted_by: str = ""
    work: "asyncio.Task[Outcome] | None" = None
    _waiting: "list[asyncio.Future[bool]]" = field(default_factory=list)

    @property
    def answer_id(self) -> UUID:
        return self.opened.answer.pk

    def show(self, text: str) -> None:
        if not self.text and text:
            self.passed("first_word_ms")
        self.text += text
        self._wake()

    def unsaved_text(self) -> str | None:
        """The whole text, as it is saved whole; None where nothing was added since."""
        return self.text if len(self.text) > self.saved else None

    def tell(self, name: str, data: dict[str, Any]) -> None:
        """An event between the words shown so far and those that follow."""
        self.told.append(Event(name, data, len(self.text)))
        self._wake()

    def took(self, step: StepTaken) -> None:
        """A step of several on the way to the answer."""
        self.steps.append(step)
        self.tell("step", step.shown())

    def passed(self, name: str) -> None:
        """Note how long after its beginning the turn came to this."""
        self.timings[name] = round((time.monotonic() - self.began) * 1000, 1)

    def end(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        self.ending = [Event(name, data, len(self.text)) for name, data in events]
        self.ended = True
        self.work = None  # cancelled, it holds its frames, and they hold this turn
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

        What was told at the very place where a reader left off may be told again. Readers share the one text and keep
        only their place in it: a slow one costs hardly any memory and gets longer deltas, of PIECE_CHARS at most.
        """
        self.readers += 1
        told = sum(event.position < after for event in self.told)
        try:
            yield meta_event(self.opened.answer)
            while True:
                until = self.told[told].position if told < len(self.told) else len(self.text)
                if until > after:
                    until = min(until, after + PIECE_CHARS)
                    piece, after = self.text[after:until], until
                    yield Event("delta", {"text": piece}, after)
                elif told < len(self.told):
                    yield self.told[told]
                    told += 1
                elif self.ended:
                    for event in self.ending:
                        yield event
                    return
                elif not await self._changes():
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

    async def _changes(self) -> bool:
        """Whether anything does before a heartbeat is due. For every word of every reader: an Event with a timeout
        around it is several times the work."""
        loop = asyncio.get_running_loop()
        change: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(change)
        due = loop.call_later(settings.STREAM_HEARTBEAT.total_seconds(), _tell, change, False)
        try:
            return await change
        finally:
            due.cancel()
            with suppress(ValueError):
                self._waiting.remove(change)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            _tell(change, True)


def _tell(change: "asyncio.Future[bool]", changed: bool) -> None:
    if not change.done():
        change.set_result(changed)
