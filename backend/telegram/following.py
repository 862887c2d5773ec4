"""From pages of messages, oldest first, to blocks: the same whether an account or the preview pages were asked."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby, takewhile

from django.conf import settings
from django.db.models.functions import Greatest

from backend.documents.parser.telegram_posts import Post
from backend.sources.connectors import Run, SyncPostponed
from backend.telegram.blocks import BLOCK, Blocks, first_of, last_of
from backend.telegram.models import Channel

_REST = timedelta(seconds=1)  # in which others have their turn
POST, MEDIA, SERVICE = "posts", "skipped_media", "skipped_service"  # as they are counted


@dataclass(frozen=True, slots=True)
class Entry:
    """One message. `post` has text where `kind` is POST; messages of the same `album` were sent as one."""

    kind: str
    post: Post
    album: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Messages, oldest first. There is no other one between the page before and number `upto`."""

    entries: list[Entry]
    upto: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """The numbers of the first post to be read, and of the newest there was when the run began."""

    start: int
    newest: int


def stretch(run: Run, channel: Channel, newest: Callable[[], int]) -> Stretch:
    """What is to be read in this turn. `newest` is asked once in a run: even where each request has to be waited for, a
    turn gets further."""
    cursor = run.cursor
    if "position" not in cursor:
        cursor = {"position": _beginning(run, channel), "newest": newest()}
        run.save(cursor)
    return Stretch(int(cursor["position"]), int(cursor["newest"]))


def _beginning(run: Run, channel: Channel) -> int:
    """Far enough back to see what was edited or deleted lately, or all the way where that is asked for."""
    if run.full:
        return 1
    looked_at = max(1, channel.reached - settings.TELEGRAM_RECHECK_POSTS + 1)
    wanted = [int(item.external_id) for item in run.pending() if item.external_id.isdigit()]
    return min([first_of(looked_at), *wanted])


def follow(run: Run, channel: Channel, pages: Iterable[Page], *, start: int) -> None:
    """Write the blocks from `start`, and remove those that have no posts any more. A block is written once all of it
    has been read, and the cursor says so; whoever goes on begins with the next."""
    turn = _Turn(run, channel, start)
    waiting: list[Entry] = []
    for page in pages:
        waiting += page.entries
        while waiting and last_of(waiting[0].post.number) <= page.upto:
            turn.write(_block(waiting))
    while waiting:
        turn.write(_block(waiting))
    turn.finish()


def _block(waiting: list[Entry]) -> list[Entry]:
    """Takes the messages of the first block out of `waiting`."""
    end = last_of(waiting[0].post.number)
    entries = list(takewhile(lambda entry: entry.post.number <= end, waiting))
    del waiting[: len(entries)]
    return entries


class _Turn:
    def __init__(self, run: Run, channel: Channel, start: int) -> None:
        self._run = run
        self._channel = channel
        self._blocks = Blocks(run, channel)
        self._position = start  # everything before it has been dealt with
        self._read = 0

    def write(self, entries: list[Entry]) -> None:
        """Raises SyncPostponed after as many messages as one turn may read."""
        if self._read >= settings.TELEGRAM_POSTS_PER_RUN:
            raise SyncPostponed(_REST, "", "")
        first = first_of(entries[0].post.number)
        self._blocks.clear(self._position, first)
        posts = list(_posts(entries))
        self._blocks.write(first, posts)
        self._count(entries, posts)
        self._position = first + BLOCK
        self._read += len(entries)
        reached = Greatest("reached", entries[-1].post.number)
        Channel.objects.filter(pk=self._channel.pk).update(reached=reached)
        self._run.save({**self._run.cursor, "position": self._position, "tries": 0})

    def finish(self) -> None:
        self._blocks.clear(self._position)

    def _count(self, entries: list[Entry], posts: list[Post]) -> None:
        self._run.count(POST, len(posts))
        for kind in (MEDIA, SERVICE):
            self._run.count(kind, sum(entry.kind == kind for entry in entries))


def _posts(entries: Iterable[Entry]) -> Iterator[Post]:
    """An album is one post, under the number of its first message."""
    for _, group in groupby(entries, key=lambda entry: (entry.album, entry.album or entry.post.number)):
        members = list(group)
        texts = [entry.post.text for entry in members if entry.kind == POST]
        if texts:
            yield members[0].post._replace(text="\n\n".join(texts))
