"""A channel's messages, oldest first, page by page."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from telethon import functions, types

from backend.sources.connectors import Run
from backend.telegram.accounts import Account
from backend.telegram.entries import Entries
from backend.telegram.following import Entry, Page, Stretch
from backend.telegram.models import Channel

PAGE = 100  # the most that Telegram gives


class History:
    def __init__(self, account: Account, channel: Channel) -> None:
        self._account = account
        self._peer = types.InputPeerChannel(channel.channel_id, channel.access_hash)
        self._input = types.InputChannel(channel.channel_id, channel.access_hash)
        self._entries = Entries(channel.root, channel.title)

    def newest(self) -> int:
        """The number of the newest message; 0 where there is none."""
        return max((message.id for message in self._ask(limit=1).messages), default=0)

    def pages(self, run: Run, reading: Stretch) -> Iterator[Page]:
        """From the first number on, until the newest has been passed."""
        after = reading.start - 1
        while after < reading.newest:
            run.check()
            entries = self._after(after)
            if entries:
                after = entries[-1].post.number
            else:
                # A page may be empty though messages follow; asked for by number, they show.
                entries = self._numbered(after + 1)
                after += PAGE
            yield Page(entries, after)
            run.rest(settings.TELEGRAM_PAGE_PAUSE_SECONDS)

    def _after(self, number: int) -> list[Entry]:
        answer = self._ask(offset_id=number + 1, add_offset=-PAGE, limit=PAGE)
        return [entry for entry in self._entries.of(answer) if entry.post.number > number]

    def _ask(self, *, limit: int, offset_id: int = 0, add_offset: int = 0) -> Any:
        return self._account.ask(
            functions.messages.GetHistoryRequest(
                peer=self._peer,
                offset_id=offset_id,
                offset_date=None,
                add_offset=add_offset,
                limit=limit,
                max_id=0,
                min_id=0,
                hash=0,
            )
        )

    def _numbered(self, first: int) -> list[Entry]:
        wanted = [types.InputMessageID(number) for number in range(first, first + PAGE)]
        return self._entries.of(self._account.ask(functions.channels.GetMessagesRequest(self._input, wanted)))
