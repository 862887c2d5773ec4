"""The emulated data centre answers the real Telethon as Telegram does."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from telethon import TelegramClient, errors, functions, types
from telethon.sessions import StringSession

from tests.emulators.telegram.login import API_HASH, API_ID
from tests.emulators.telegram.server import TelegramEmulator


@pytest.fixture(scope="module")
def running() -> Iterator[TelegramEmulator]:
    with TelegramEmulator() as emulator:
        yield emulator


@pytest.fixture
def telegram(running: TelegramEmulator) -> TelegramEmulator:
    running.reset()
    running.world.account()
    return running


@asynccontextmanager
async def connected(telegram: TelegramEmulator) -> AsyncIterator[Any]:
    session = StringSession(telegram.issue(telegram.world.accounts[0]))
    client = TelegramClient(session, API_ID, API_HASH, flood_sleep_threshold=0, retry_delay=0)
    await client.connect()
    try:
        yield client
    finally:
        await client.disconnect()


@pytest.mark.parametrize("gzip", [True, False])
async def test_history_is_the_same_forwards_and_backwards(telegram: TelegramEmulator, gzip: bool) -> None:
    telegram.gzip = gzip
    telegram.world.channel("Harbour", "harbour").posts(230)
    async with connected(telegram) as client:
        backwards = [message.id async for message in client.iter_messages("harbour")]
        forwards = [message.id async for message in client.iter_messages("harbour", reverse=True)]
        middle = [m.id async for m in client.iter_messages("harbour", reverse=True, min_id=100, max_id=120)]
    assert backwards == list(range(230, 0, -1))
    assert forwards == list(range(1, 231))
    assert middle == list(range(101, 120))


async def test_what_was_edited_or_deleted_is_so_for_everybody(telegram: TelegramEmulator) -> None:
    harbour = telegram.world.channel("Harbour", "harbour")
    harbour.posts(5)
    harbour.edit(2, "Corrected.")
    harbour.delete(3)
    async with connected(telegram) as client:
        found = await client.get_messages("harbour", ids=[2, 3])
    assert (found[0].message, found[0].edit_date is not None, found[1]) == ("Corrected.", True, None)


async def test_another_accounts_access_hash_is_good_for_nothing(telegram: TelegramEmulator) -> None:
    harbour = telegram.world.channel("Harbour", "harbour")
    other = telegram.world.account("+1")
    asked = types.InputChannel(harbour.id, harbour.access_hash(other))
    async with connected(telegram) as client:
        with pytest.raises(errors.ChannelInvalidError):
            await client(functions.channels.GetFullChannelRequest(asked))


async def test_a_script_strikes_as_often_as_it_says_and_after_as_many_calls(telegram: TelegramEmulator) -> None:
    telegram.script.add("GetState", "420 FLOOD_WAIT_9", after=1, times=1)
    async with connected(telegram) as client:  # which is the first call
        with pytest.raises(errors.FloodWaitError) as flood:
            await client(functions.updates.GetStateRequest())
        client._flood_waited_requests.clear()
        await client(functions.updates.GetStateRequest())
    assert flood.value.seconds == 9


async def test_a_client_of_another_layer_is_refused(telegram: TelegramEmulator) -> None:
    async with connected(telegram) as client:
        with pytest.raises(errors.ConnectionLayerInvalidError):
            await client(functions.InvokeWithLayerRequest(7, functions.help.GetConfigRequest()))


async def test_answers_are_acknowledged(telegram: TelegramEmulator) -> None:
    async with connected(telegram) as client:
        for _ in range(3):
            await client(functions.updates.GetStateRequest())
    assert telegram.acknowledged


def test_it_listens_on_loopback_only(telegram: TelegramEmulator) -> None:
    assert telegram.host == "127.0.0.1"
