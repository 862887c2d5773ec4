"""One turn of following a channel with the operator's account."""

from backend.sources.connectors import Run
from backend.telegram import addresses
from backend.telegram.accounts import account_for
from backend.telegram.addresses import Address
from backend.telegram.errors import TelegramFailed
from backend.telegram.failures import as_sync_error
from backend.telegram.following import follow, stretch
from backend.telegram.history import History
from backend.telegram.models import Channel
from backend.telegram.resolving import resolved


def sync(run: Run) -> None:
    """Raises SyncPostponed, SyncFailed, and what `run` raises."""
    try:
        _sync(run, addresses.parse(run.source.configuration["channel"]) or Address())
    except TelegramFailed as exc:
        raise as_sync_error(exc, run) from exc


def _sync(run: Run, address: Address) -> None:
    known, _ = Channel.objects.get_or_create(source=run.source)
    with account_for(run.source.pk) as account:
        channel = resolved(account, address, known)
        history = History(account, channel)
        reading = stretch(run, channel, history.newest)
        follow(run, channel, history.pages(run, reading), start=reading.start)
