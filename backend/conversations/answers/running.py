"""The turns that this process runs: started, kept alive by their leases, ended."""

import asyncio
import logging
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError

from backend import agent_client
from backend.conversations.answers import answering, closing, counting, endings
from backend.conversations.answers.endings import Outcome
from backend.conversations.answers.turns import Turn
from backend.conversations.questions.opening import OpenedTurn
from backend.core import request_id
from backend.core.database import in_database

logger = logging.getLogger(__name__)

FINISH_TRIES = 5


class RunningTurns:
    """The turns of this process on its event loop: starts them, keeps their leases, ends them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._turns: dict[UUID, Turn] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._turns)

    def get(self, answer_id: UUID) -> Turn | None:
        return self._turns.get(answer_id)

    async def start(self, opened: OpenedTurn) -> Turn:
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep())
        turn = Turn(opened, request_id.current.get())
        self._turns[turn.answer_id] = turn
        turn.work = asyncio.create_task(_work(turn))
        task = asyncio.create_task(self._run(turn, turn.work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        turn.expect_a_reader()
        return turn

    def stop(self, answer_id: UUID) -> None:
        """From any thread; does nothing where the turn runs in another process, which learns of it from the row."""
        turn = self._turns.get(answer_id)
        if turn is not None:
            self.loop.call_soon_threadsafe(turn.halt, "stopped")

    async def close(self) -> None:
        """Let the turns finish for SHUTDOWN_GRACE, end what is left, uncharged."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=settings.SHUTDOWN_GRACE.total_seconds())
        for turn in self._turns.values():
            turn.halt("restarting")
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._keeper is not None:
            self._keeper.cancel()

    async def _run(self, turn: Turn, work: "asyncio.Task[Outcome]") -> None:
        await asyncio.wait({work})
        outcome = answering.outcome_of(turn, work)
        charged = await self._finish(turn, outcome)
        counting.count(outcome, turn.timings)
        del self._turns[turn.answer_id]
        turn.end(closing.closing_events(turn, outcome, charged))

    async def _finish(self, turn: Turn, outcome: Outcome) -> int | None:
        """Credits charged; None where it was ended elsewhere, or the database stays away and the sweeper must do it."""
        for attempt in range(FINISH_TRIES):
            try:
                return await in_database(endings.finish_turn, answer_id=turn.answer_id, outcome=outcome)
            except DatabaseError:
                logger.warning("answer %s: could not be finished yet", turn.answer_id, exc_info=True)
                await asyncio.sleep(2**attempt / 4)
        return None

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(settings.TURN_HEARTBEAT.total_seconds())
            await self._renew()

    async def _renew(self) -> None:
        """A call of its own, so that no turn and no text outlives it in a variable."""
        running = {turn.answer_id: turn for turn in self._turns.values() if turn.work and not turn.work.done()}
        if not running:
            return
        shown = {answer_id: len(turn.text) for answer_id, turn in running.items()}
        texts = {answer_id: turn.unsaved_text() for answer_id, turn in running.items()}
        try:
            leases = await in_database(endings.renew_leases, texts=texts)
        except DatabaseError:
            logger.warning("leases of %d turns could not be renewed", len(running), exc_info=True)
            return
        for answer_id, turn in running.items():
            turn.saved = shown[answer_id]
            _obey(turn, leases.get(answer_id))


async def _work(turn: Turn) -> Outcome:
    async with agent_client.connect() as agent:
        return await answering.answer(turn, agent)


def _obey(turn: Turn, lease: endings.Lease | None) -> None:
    if lease is None:
        turn.halt("ended elsewhere")
    elif lease.stop_requested:
        turn.halt("stopped")
    elif not lease.allowed:
        turn.halt("revoked")


_running: RunningTurns | None = None


def running_turns() -> RunningTurns:
    """Those of the running event loop."""
    global _running
    loop = asyncio.get_running_loop()
    if _running is None or _running.loop is not loop:
        _running = RunningTurns(loop)
    return _running


def turns_here() -> int:
    """How many run in this process."""
    return 0 if _running is None else len(_running)


def stop_here(answer_id: UUID) -> None:
    """Stop the turn at once where it runs in this process; from any thread."""
    if _running is not None:
        _running.stop(answer_id)
