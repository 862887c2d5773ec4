"""Leaving stops the cost (R22): the vendor's connection is closed soon after the reader has gone, seen from the
vendor's side."""

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import pytest

from agent_service.ports import Piece
from agent_service.providers.langchain_chat import LangChainChat
from tests.agent_service.vendors import VENDORS, Vendor, prompt
from tests.emulators.emulator import Emulator
from tests.emulators.server import Running

pytestmark = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name, indirect=True)
TIMES = 20
SECONDS = 5.0


@pytest.fixture
async def patient(vendor: Vendor, running: Running[Emulator], emulator: Emulator) -> AsyncIterator[LangChainChat]:
    chat = vendor.chat(running.url, model_first_byte_seconds=60, model_idle_seconds=60)
    yield chat
    await chat.aclose()


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """So that no connection is closed by accident."""
    gc.disable()
    yield
    gc.enable()


async def ends(emulator: Emulator) -> list[str | None]:
    """How the emulator saw each call end; it may learn of it a moment after the reader."""
    started = time.monotonic()
    while emulator.journal.open_streams:
        assert time.monotonic() - started < SECONDS
        await asyncio.sleep(0.005)
    return [call.ended for call in emulator.journal.calls]


async def all_closed(emulator: Emulator) -> float:
    """Seconds until the emulator has seen every client leave."""
    started = time.monotonic()
    assert await ends(emulator) == ["client_closed"] * TIMES
    return time.monotonic() - started


async def begun(chat: LangChainChat) -> AsyncGenerator[Piece, None]:
    stream = chat.stream(prompt())
    assert (await anext(stream)).text
    return stream


async def read_all(chat: LangChainChat) -> list[Piece]:
    return [piece async for piece in chat.stream(prompt())]


async def test_a_stream_that_is_closed_between_pieces(
    patient: LangChainChat, emulator: Emulator, vendor: Vendor
) -> None:
    emulator.fault(vendor.route, "forever")
    emulator.script.latency(vendor.route, piece=0.01)
    streams = [await begun(patient) for _ in range(TIMES)]
    await asyncio.gather(*(stream.aclose() for stream in streams))
    assert await all_closed(emulator) < SECONDS


async def test_a_reader_that_is_cancelled_while_pieces_come(
    patient: LangChainChat, emulator: Emulator, vendor: Vendor
) -> None:
    emulator.fault(vendor.route, "forever")
    emulator.script.latency(vendor.route, piece=0.01)
    await cancelled(patient, emulator)


async def test_a_reader_that_is_cancelled_while_nothing_comes(
    patient: LangChainChat, emulator: Emulator, vendor: Vendor
) -> None:
    emulator.fault(vendor.route, "stall", after=1)
    await cancelled(patient, emulator)


async def test_a_reader_that_is_cancelled_before_the_first_byte(
    patient: LangChainChat, emulator: Emulator, vendor: Vendor
) -> None:
    emulator.fault(vendor.route, "hang")
    await cancelled(patient, emulator)


async def cancelled(patient: LangChainChat, emulator: Emulator) -> None:
    readers = [asyncio.ensure_future(read_all(patient)) for _ in range(TIMES)]
    while emulator.journal.count() < TIMES:  # noqa: ASYNC110 - it is another thread that counts
        await asyncio.sleep(0.01)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert await all_closed(emulator) < SECONDS


async def test_a_stream_read_to_its_end_is_not_cut(patient: LangChainChat, emulator: Emulator, vendor: Vendor) -> None:
    await read_all(patient)
    assert await ends(emulator) == ["complete"]
