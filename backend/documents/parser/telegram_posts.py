"""A run of a channel's posts, as our own connectors write it: one JSON object per line, oldest first."""

import json
from collections.abc import Iterable
from typing import NamedTuple

from backend.documents.parser.reading import ParsedPage, Reading, Unreadable

_AUTHOR_CHARS = 200


class Post(NamedTuple):
    """`dated` is ISO 8601. `reply_to` is the number of the post it answers, 0 for none."""

    number: int
    text: str
    link: str = ""
    author: str = ""
    dated: str = ""
    reply_to: int = 0


def written(posts: Iterable[Post]) -> bytes:
    lines = [json.dumps(post._asdict(), ensure_ascii=False, separators=(",", ":")) for post in posts]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def read(data: bytes) -> Reading:
    try:
        pages = [page_of(Post(**json.loads(line))) for line in data.decode().split("\n") if line]
    except (ValueError, TypeError) as exc:
        raise Unreadable("corrupt_file") from exc
    return Reading(len(pages), iter(pages))


def page_of(post: Post) -> ParsedPage:
    """The post as the place that a citation names."""
    label = f"Post {post.number}" + (f", reply to {post.reply_to}" if post.reply_to else "")
    return ParsedPage(label, post.text, post.link, post.author[:_AUTHOR_CHARS], post.dated)
