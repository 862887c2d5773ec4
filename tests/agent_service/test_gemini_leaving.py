"""Leaving stops the cost (R22): the vendor's connection is closed soon after the reader has gone, seen from the
vendor's side."""

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

import pytest

from agent_service.ports import Piece
from agent_service.providers.gemini import GeminiChat
from agent_service.settings import Settings
from tests.agent_service.test_gemini_chat import STREAM, prompt
from tests.emulators.gemini import GeminiEmulator

TIMES = 20
SECONDS = 5.0


@pytest.fixture
async def chat(vendor_settings: Callable[..., Settings], gemini: GeminiEmulator) -> AsyncIterator[GeminiChat]:
    patient = vendor_settings(model_first_byte_seconds=60, model_idle_seconds=60)
    chat = GeminiChat(patient, "gemini-2.5-flash")
    yield chat
    await chat.aclose()


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """So that no connection is closed by accident."""
    gc.disable()
    yield
    gc.enable()


async def all_closed(gemini: GeminiEmulator) -> float:
    """Seconds until the emulator has seen every client leave."""
    started = time.monotonic()
    while gemini.journal.open_streams:
        assert time.monotonic() - started < SECONDS
        await asyncio.sleep(0.005)
    assert [call.ended for call in gemini.journal.calls] == ["client_closed"] * TIMES
    return time.monotonic() - started


async def begun(chat: GeminiChat) -> AsyncGenerator[Piece, None]:
    stream = chat.stream(prompt())
    assert (await anext(stream)).text
    return stream


async def read_all(chat: GeminiChat) -> list[Piece]:
    return [piece async for piece in chat.stream(prompt())]


async def test_a_stream_that_is_closed_between_pieces(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    gemini.fault(STREAM, "forever")
    gemini.script.latency(STREAM, piece=0.01)
    streams = [await begun(chat) for _ in range(TIMES)]
    await asyncio.gather(*(stream.aclose() for stream in streams))
    assert await all_closed(gemini) < SECONDS


async def test_a_reader_that_is_cancelled_while_pieces_come(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    gemini.fault(STREAM, "forever")
    gemini.script.latency(STREAM, piece=0.01)
    await cancelled(chat, gemini)


async def test_a_reader_that_is_cancelled_while_nothing_comes(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    gemini.fault(STREAM, "stall", after=1)
    await cancelled(chat, gemini)


async def test_a_reader_that_is_cancelled_before_the_first_byte(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    gemini.fault(STREAM, "hang")
    await cancelled(chat, gemini)


async def cancelled(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    readers = [asyncio.ensure_future(read_all(chat)) for _ in range(TIMES)]
    await asyncio.sleep(0.5)
    assert gemini.journal.count() == TIMES
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert await all_closed(gemini) < SECONDS


async def test_a_stream_read_to_its_end_is_not_cut(chat: GeminiChat, gemini: GeminiEmulator) -> None:
    await read_all(chat)
    assert [call.ended for call in gemini.journal.calls] == ["complete"]
