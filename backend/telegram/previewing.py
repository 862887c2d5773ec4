"""One turn of following a channel by the pages that t.me shows of it, about 20 posts each, without an account."""

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus

from django.conf import settings

from backend import fetching
from backend.documents import extraction
from backend.documents.extraction import Extraction, ExtractionFailed
from backend.documents.parser.telegram_posts import Post
from backend.fetching import FetchFailed
from backend.sources.connectors import Run
from backend.telegram import addresses
from backend.telegram.blocks import BLOCK, first_of, last_of
from backend.telegram.errors import TelegramFailed
from backend.telegram.failures import as_sync_error
from backend.telegram.following import MEDIA, POST, SERVICE, Entry, Page, Stretch, follow, stretch
from backend.telegram.models import Channel

_FORMAT = "telegram_preview"
_SKIPPED = {"media": MEDIA, "service": SERVICE}
_PATIENCE = timedelta(minutes=1)  # where t.me asks for it without saying how long


def sync(run: Run) -> None:
    """Raises SyncPostponed, SyncFailed, and what `run` raises."""
    address = addresses.parse(run.source.configuration["channel"])
    channel, _ = Channel.objects.get_or_create(
        source=run.source, defaults={"username": address.username if address else ""}
    )
    preview = Preview(run, channel)
    try:
        reading = stretch(run, channel, preview.newest)
        follow(run, channel, preview.pages(reading), start=reading.start)
    except TelegramFailed as exc:
        raise as_sync_error(exc, run) from exc


class Preview:
    def __init__(self, run: Run, channel: Channel) -> None:
        self._run = run
        self._channel = channel

    def newest(self) -> int:
        return max((entry.post.number for entry in self._entries("")), default=0)

    def pages(self, reading: Stretch) -> Iterator[Page]:
        """Block by block, oldest first; within one, t.me can only be asked for what is before a number."""
        for first in range(first_of(reading.start), reading.newest + 1, BLOCK):
            found: dict[int, Entry] = {}
            before = first + BLOCK
            while before > first:
                self._run.rest(settings.WEB_DELAY_SECONDS)
                entries = [e for e in self._entries(f"?before={before}") if e.post.number < before]
                found |= {entry.post.number: entry for entry in entries if entry.post.number >= first}
                before = min((entry.post.number for entry in entries), default=0)
            yield Page([found[number] for number in sorted(found)], last_of(first))

    def _entries(self, query: str) -> list[Entry]:
        self._run.check()
        extracted = self._extracted(self._fetched(f"{settings.TELEGRAM_PREVIEW_URL}/s/{self._channel.username}{query}"))
        posts = [
            Entry(POST, Post(int(page.label), page.text, page.link, page.author, page.dated))
            for page in extracted.pages
        ]
        skipped = [Entry(_SKIPPED[each.reason], Post(int(each.part), "")) for each in extracted.refused]
        return posts + skipped

    def _fetched(self, url: str) -> bytes:
        try:
            return fetching.get(url, allow=lambda to: to.startswith(f"{settings.TELEGRAM_PREVIEW_URL}/")).content
        except FetchFailed as exc:
            if exc.answered == HTTPStatus.TOO_MANY_REQUESTS or exc.retry_after:
                wait = timedelta(seconds=exc.retry_after) if exc.retry_after else _PATIENCE
                raise TelegramFailed("telegram_flood_wait", wait=wait) from exc
            if exc.passing:
                raise TelegramFailed("telegram_timeout" if exc.code == "timeout" else "telegram_unreachable") from exc
            missing = exc.answered == HTTPStatus.NOT_FOUND or exc.code == "redirect_refused"
            code = "telegram_no_preview" if missing else "telegram_refused"
            raise TelegramFailed(code, detail="" if missing else exc.code) from exc

    def _extracted(self, content: bytes) -> Extraction:
        """In the parser's own process: a page of somebody else's is no safer for being t.me's."""
        try:
            with tempfile.TemporaryFile() as file:  # the process reads from a descriptor
                file.write(content)
                file.seek(0)
                return extraction.extract(
                    file, format_name=_FORMAT, link=self._channel.root, tick=lambda *_: self._run.check()
                )
        except ExtractionFailed as exc:
            no_preview = exc.code == "telegram_no_preview"
            raise TelegramFailed(
                "telegram_no_preview" if no_preview else "telegram_refused", detail="" if no_preview else exc.code
            ) from exc
