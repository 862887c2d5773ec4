"""A channel's posts as documents: each holds the posts of BLOCK consecutive numbers, so that an edit, a deletion or a
new post changes one small document, and reading may stop and go on at each of them."""

from collections.abc import Sequence

from backend.documents.parser.telegram_posts import Post, written
from backend.sources.connectors import Run
from backend.telegram.models import Channel

BLOCK = 100  # what Telegram gives for one request
FORMAT = "telegram_posts"


def first_of(number: int) -> int:
    """Of the block that holds the post `number`, counted from 1."""
    return (number - 1) // BLOCK * BLOCK + 1


def last_of(number: int) -> int:
    return first_of(number) + BLOCK - 1


class Blocks:
    """Those of one source. Known to the source by the number of their first post."""

    def __init__(self, run: Run, channel: Channel) -> None:
        self._run = run
        self._channel = channel
        self._known = {int(name) for name in run.items().values_list("external_id", flat=True) if name.isdigit()}

    def write(self, first: int, posts: Sequence[Post]) -> None:
        """A block without posts is none."""
        if not posts:
            self.clear(first, first + BLOCK)
            return
        numbers = f"{first}-{last_of(first)}"
        name = self._channel.name
        self._run.put(
            str(first),
            title=f"{name}, posts {numbers}",
            link=self._channel.root if self._channel.username else posts[0].link,
            filename=f"{name.removeprefix('@')} {numbers}.jsonl",
            content=written(posts),
            format_name=FORMAT,
        )
        self._known.add(first)

    def clear(self, start: int, end: int | None = None) -> None:
        """No post from `start` to before `end` is left."""
        for first in sorted(self._known):
            if first >= start and (end is None or first < end):
                self._run.remove(str(first))
                self._known.discard(first)
