"""Telegram's messages as entries: what is said, by whom, when, and where it is found."""

from typing import Any

from telethon import types, utils

from backend.documents.parser.telegram_markup import BLOCK, CODE, LINK, Span, marked_up
from backend.documents.parser.telegram_posts import Post
from backend.telegram.following import MEDIA, POST, SERVICE, Entry

_KINDS = {types.MessageEntityTextUrl: LINK, types.MessageEntityCode: CODE, types.MessageEntityPre: BLOCK}


class Entries:
    """Of one channel, whose posts are found below `root`; `title` signs those that nobody has signed."""

    def __init__(self, root: str, title: str) -> None:
        self._root = root
        self._title = title

    def of(self, answer: Any) -> list[Entry]:
        """The messages of an answer that has some, oldest first."""
        peers = {utils.get_peer_id(peer): utils.get_display_name(peer) for peer in (*answer.users, *answer.chats)}
        messages = sorted(answer.messages, key=lambda message: message.id)
        return [self._entry(each, peers) for each in messages if not isinstance(each, types.MessageEmpty)]

    def _entry(self, message: Any, peers: dict[int, str]) -> Entry:
        number = message.id
        if isinstance(message, types.MessageService):
            return Entry(SERVICE, Post(number, ""))
        text = marked_up(message.message, _spans(message.entities or ()))
        post = Post(
            number=number,
            text=text,
            link=f"{self._root}/{number}",
            author=self._author(message, peers),
            dated=message.date.isoformat(),
            reply_to=_reply_to(message),
        )
        return Entry(POST if text.strip() else MEDIA, post, message.grouped_id or 0)

    def _author(self, message: Any, peers: dict[int, str]) -> str:
        author = message.post_author or _name(message.from_id, peers) or self._title
        forward = message.fwd_from
        if forward is None:
            return str(author)
        origin = _name(forward.from_id, peers) or forward.from_name or "elsewhere"
        signed = f" ({forward.post_author})" if forward.post_author else ""
        return f"{author}, forwarded from {origin}{signed}"


def _spans(entities: Any) -> list[Span]:
    return [
        Span(entity.offset, entity.length, _KINDS[type(entity)], getattr(entity, "url", ""))
        for entity in entities
        if type(entity) in _KINDS
    ]


def _name(peer: Any, peers: dict[int, str]) -> str:
    return peers.get(utils.get_peer_id(peer), "") if peer is not None else ""


def _reply_to(message: Any) -> int:
    """Only to a post of the same channel."""
    reply = message.reply_to
    if not isinstance(reply, types.MessageReplyHeader) or reply.reply_to_peer_id is not None:
        return 0
    return reply.reply_to_msg_id or 0
