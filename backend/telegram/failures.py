"""Why a channel could not be read: for each code a sentence for the source's owner and what to do about it."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from backend.sources.connectors import Run, SyncFailed, SyncPostponed
from backend.telegram.errors import TelegramFailed


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str
    hint: str


_OPERATOR = "Tell the operator of this deployment."
_PATIENCE = "Nothing to do: it goes on by itself."
_TABLE = (
    (
        "telegram_channel_private",
        "The channel is private, and the account that reads here may not see it.",
        "Ask the operator to have the account invited to it, or upload Telegram Desktop's export instead.",
    ),
    (
        "telegram_channel_gone",
        "The channel does not exist any more.",
        "Delete the source, or make one for its successor.",
    ),
    (
        "telegram_name_unknown",
        "Telegram knows no channel of this name.",
        "Check the spelling, or copy the channel's link.",
    ),
    (
        "telegram_name_invalid",
        "This is not the address of a Telegram channel.",
        "Use @name, https://t.me/name, or an invite link such as https://t.me/+AbCdEf.",
    ),
    ("telegram_not_a_channel", "This is a person, a bot or a small group, not a channel.", "Use a channel's address."),
    (
        "telegram_invite_unknown",
        "The invite link is not valid any more.",
        "Ask for a new link, and make a new source with it.",
    ),
    (
        "telegram_not_joined",
        "The account that reads here has not joined this channel.",
        "Ask the operator to join it with that account; nothing is joined by itself.",
    ),
    ("telegram_session_missing", "No Telegram account is set up on this deployment.", _OPERATOR),
    ("telegram_session_revoked", "Telegram does not accept this deployment's account any more.", _OPERATOR),
    ("telegram_flood_wait", "Telegram asks for patience.", _PATIENCE),
    ("telegram_busy", "Another channel is being read with the same account.", _PATIENCE),
    ("telegram_unreachable", "Telegram cannot be reached.", _PATIENCE),
    ("telegram_timeout", "Telegram took too long to answer.", _PATIENCE),
    ("telegram_refused", "Telegram refused the request.", _OPERATOR),
    (
        "telegram_no_preview",
        "Telegram shows no preview of this channel: it is not there, or not public.",
        "Check the name. For a private channel, use a source of kind telegram, or upload Telegram Desktop's export.",
    ),
)
FAILURES = {code: Failure(code, message, hint) for code, message, hint in _TABLE}
PASSING = {"telegram_unreachable", "telegram_timeout"}

_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(minutes=10)
_MARGIN = timedelta(seconds=1)  # Telegram's seconds and ours need not begin together


def as_sync_error(exc: TelegramFailed, run: Run) -> SyncPostponed | SyncFailed:
    """What becomes of the run. One that fails for a passing reason is tried again, later each time, INGEST_TRIES times
    in all since it last made progress."""
    failure = FAILURES[exc.code]
    message = failure.message if not exc.detail else f"{failure.message[:-1]}: {exc.detail}."
    if exc.wait is not None:
        told = f"{failure.message[:-1]}: {round(exc.wait.total_seconds())} seconds."
        return SyncPostponed(exc.wait + _MARGIN, exc.code, told, failure.hint)
    if exc.code in PASSING and (tries := int(run.cursor.get("tries", 0)) + 1) < settings.INGEST_TRIES:
        run.save({**run.cursor, "tries": tries})
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (tries - 1))
        return SyncPostponed(pause, exc.code, message, failure.hint)
    hint = "It is tried again with the next sync." if exc.code in PASSING else failure.hint
    return SyncFailed(exc.code, message, hint)
