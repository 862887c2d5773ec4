"""What cannot be read says why, each case with a code and a sentence of its own."""

from collections.abc import Callable

import pytest

from backend.bots.models import Bot
from backend.sources import services
from backend.sources.errors import SourceInvalid
from backend.sources.models import Source, SourceState
from backend.telegram.failures import FAILURES
from backend.telegram.models import TelegramSession
from tests.backend.telegram.fixtures import numbers, sync_again
from tests.emulators.telegram.server import TelegramEmulator
from tests.emulators.telegram.world import Account, Channel

Follow = Callable[..., Source]


def told(source: Source, code: str) -> bool:
    failure = FAILURES[code]
    fields = (source.state, source.error_code, source.error_message, source.error_hint)
    return fields == (SourceState.FAILED, code, failure.message, failure.hint)


def test_a_private_channel(follow: Follow, harbour: Channel) -> None:
    harbour.private = True
    assert told(follow(), "telegram_channel_private")


def test_a_channel_that_became_private_keeps_what_was_read(follow: Follow, harbour: Channel) -> None:
    harbour.posts(3)
    source = follow()
    harbour.private = True
    sync_again(source)
    assert told(source, "telegram_channel_private")
    assert numbers(source) == [1, 2, 3]


@pytest.mark.parametrize("answer", ["400 CHANNEL_PRIVATE", "406 CHANNEL_PRIVATE"])
def test_a_private_channel_is_known_by_the_error_and_not_by_its_number(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator, answer: str
) -> None:
    harbour.posts(3)
    telegram.script.add("GetHistory", answer)
    assert told(follow(), "telegram_channel_private")


def test_a_name_that_nobody_has(follow: Follow) -> None:
    assert told(follow("@nobody_there"), "telegram_name_unknown")


def test_a_name_that_nobody_has_any_more(follow: Follow, harbour: Channel) -> None:
    harbour.posts(3)
    source = follow()
    harbour.gone = True
    sync_again(source)
    assert told(source, "telegram_name_unknown")


def test_a_channel_that_is_gone_while_it_is_read(follow: Follow, harbour: Channel, telegram: TelegramEmulator) -> None:
    harbour.posts(3)
    telegram.script.add("GetHistory", "400 CHANNEL_INVALID", after=1)
    assert told(follow(), "telegram_channel_gone")


def test_a_person_is_not_a_channel(follow: Follow, telegram: TelegramEmulator) -> None:
    telegram.world.account("+9991", first_name="Bertram")
    assert told(follow("@bertram"), "telegram_not_a_channel")


def test_an_invitation_that_was_not_followed(follow: Follow, telegram: TelegramEmulator) -> None:
    telegram.world.channel("Crew", invite="AbCdEfGh12")
    assert told(follow("https://t.me/joinchat/AbCdEfGh12"), "telegram_not_joined")


def test_an_invitation_that_is_not_valid_any_more(follow: Follow) -> None:
    assert told(follow("https://t.me/+AbCdEfGh12"), "telegram_invite_unknown")


def test_a_revoked_session_is_noted_and_not_tried_again(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator, account: Account
) -> None:
    harbour.posts(3)
    telegram.revoke(account)
    source = follow()
    assert told(source, "telegram_session_revoked")
    assert TelegramSession.objects.get().revoked_at is not None
    asked = len(telegram.journal)
    sync_again(source)
    assert told(source, "telegram_session_revoked")
    assert len(telegram.journal) == asked


@pytest.mark.parametrize("answer", ["401 SESSION_REVOKED", "401 AUTH_KEY_UNREGISTERED", "406 AUTH_KEY_DUPLICATED"])
def test_a_session_revoked_while_it_is_used(
    follow: Follow, harbour: Channel, telegram: TelegramEmulator, answer: str
) -> None:
    harbour.posts(250)
    telegram.script.add("GetHistory", answer, after=2)
    source = follow()
    assert told(source, "telegram_session_revoked")
    assert numbers(source) == list(range(1, 101))


def test_a_key_that_telegram_has_forgotten(follow: Follow, telegram: TelegramEmulator) -> None:
    telegram.forget_keys()
    assert told(follow(), "telegram_session_revoked")


def test_what_telegram_refuses_otherwise_is_named(follow: Follow, harbour: Channel, telegram: TelegramEmulator) -> None:
    harbour.posts(1)
    telegram.script.add("GetHistory", "400 SOMETHING_NEW")
    source = follow()
    assert (source.error_code, source.error_message) == (
        "telegram_refused",
        "Telegram refused the request: RPCError 400: SOMETHING_NEW.",
    )


def test_without_an_account_the_owner_is_told_at_once(bot: Bot, telegram: TelegramEmulator) -> None:
    with pytest.raises(SourceInvalid) as refused:
        services.create_source(bot=bot, kind="telegram", configuration={"channel": "@harbour"})
    assert refused.value.code == "telegram_session_missing"


@pytest.mark.parametrize(
    "configuration",
    [{}, {"channel": "https://example.com/harbour"}, {"channel": 7}, {"channel": "@harbour", "more": 1}],
    ids=["none", "another site", "a number", "more"],
)
def test_what_is_no_address_is_refused(bot: Bot, session: TelegramSession, configuration: dict[str, object]) -> None:
    with pytest.raises(SourceInvalid) as refused:
        services.create_source(bot=bot, kind="telegram", configuration=configuration)
    assert refused.value.code == "telegram_name_invalid"


def test_a_sealing_key_that_was_lost_is_a_missing_session(follow: Follow, session: TelegramSession) -> None:
    TelegramSession.objects.update(sealed="gAAAAABm")
    assert told(follow(), "telegram_session_missing")
