"""What exists at the emulated Telegram: accounts, channels and their messages. Tests build it, and change it between
two syncs; everything a client asks is answered from here."""

import bisect
import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from telethon.tl import types

FIRST_DAY = datetime(2024, 3, 1, 9, tzinfo=UTC)
PAGE = 100  # what messages.getHistory gives at most


@dataclass(slots=True, eq=False)
class Account:
    """`password` is the second factor, where there is one."""

    phone: str
    first_name: str = "Ada"
    code: str = "24680"
    password: str = ""
    id: int = field(default_factory=itertools.count(777_000_001).__next__)

    def user(self) -> Any:
        return types.User(
            self.id, is_self=True, access_hash=self.id, first_name=self.first_name, phone=self.phone.lstrip("+")
        )


@dataclass(slots=True, eq=False)
class Channel:
    """`username` empty: only members see it, and they come by `invite`. A supergroup has members that write."""

    title: str
    username: str = ""
    invite: str = ""
    megagroup: bool = False
    private: bool = False
    gone: bool = False
    members: set[int] = field(default_factory=set)
    id: int = field(default_factory=itertools.count(1_900_000_001).__next__)
    messages: dict[int, Any] = field(default_factory=dict)
    users: dict[int, Any] = field(default_factory=dict)
    sources: dict[int, Any] = field(default_factory=dict)  # channels that posts were forwarded from
    _ids: list[int] = field(default_factory=list)
    _next: int = 1

    def post(self, text: str, *, entities: Sequence[Any] = (), **fields: Any) -> int:
        number = self._next
        self._add(
            types.Message(
                id=number,
                peer_id=types.PeerChannel(self.id),
                date=self._date(number),
                message=text,
                entities=list(entities) or None,
                post=not self.megagroup,
                **fields,
            )
        )
        return number

    def posts(self, count: int) -> None:
        """`count` of them, each with a sentence of its own."""
        for _ in range(count):
            self.post(f"Notice {self._next}: the ferry to island {self._next} leaves at gate {self._next % 40}.")

    def service(self) -> int:
        number = self._next
        action = types.MessageActionChatEditTitle(self.title)
        peer = types.PeerChannel(self.id)
        self._add(types.MessageService(id=number, peer_id=peer, date=self._date(number), action=action))
        return number

    def photo(self, caption: str = "", *, album: int | None = None) -> int:
        return self.post(caption, media=types.MessageMediaPhoto(), grouped_id=album)

    def file(self, name: str, caption: str = "") -> int:
        """A document whose sender named it `name`."""
        attributes = [types.DocumentAttributeFilename(name)]
        document = types.Document(1, 1, b"", self._date(1), "application/pdf", 10, 2, attributes)
        return self.post(caption, media=types.MessageMediaDocument(document=document))

    def forward(self, text: str, *, title: str = "", name: str = "", author: str = "") -> int:
        """From a channel called `title`, or from somebody who is only a `name`."""
        origin = None
        if title:
            number = zlib.crc32(title.encode())
            self.sources[number] = types.Channel(number, title, types.ChatPhotoEmpty(), FIRST_DAY, broadcast=True)
            origin = types.PeerChannel(number)
        header = types.MessageFwdHeader(
            FIRST_DAY,
            from_id=origin,
            from_name=name or None,
            channel_post=7 if title else None,
            post_author=author or None,
        )
        return self.post(text, fwd_from=header)

    def written_by(self, name: str, text: str) -> int:
        """A message of a member of the group."""
        number = zlib.crc32(name.encode())
        self.users[number] = types.User(number, first_name=name, access_hash=number)
        return self.post(text, from_id=types.PeerUser(number))

    def edit(self, number: int, text: str) -> None:
        message = self.messages[number]
        message.message, message.entities, message.edit_date = text, None, self._date(number) + timedelta(days=1)

    def delete(self, *numbers: int) -> None:
        for number in numbers:
            del self.messages[number]
            self._ids.remove(number)

    def skip(self, count: int) -> None:
        """Numbers that were given and are used no more."""
        self._next += count

    def page(self, *, offset_id: int, add_offset: int, limit: int, min_id: int, max_id: int) -> list[Any]:
        """Newest first, as messages.getHistory counts: `add_offset` moves the window, which ends at the newest."""
        older = bisect.bisect_left(self._ids, offset_id) if offset_id else len(self._ids)
        end = min(len(self._ids), older - add_offset)
        start = max(0, older - add_offset - min(limit, PAGE))
        numbers = [n for n in self._ids[start:end] if n > min_id and (not max_id or n < max_id)]
        return [self.messages[number] for number in reversed(numbers)]

    def seen_by(self, account: Account) -> Any:
        """The TL object; its access hash is good for this account only."""
        if self.private:
            return types.ChannelForbidden(self.id, self.access_hash(account), self.title, broadcast=True)
        return types.Channel(
            id=self.id,
            title=self.title,
            photo=types.ChatPhotoEmpty(),
            date=FIRST_DAY,
            broadcast=not self.megagroup,
            megagroup=self.megagroup,
            left=account.id not in self.members,
            access_hash=self.access_hash(account),
            username=self.username or None,
        )

    def access_hash(self, account: Account) -> int:
        return self.id * 31 + account.id

    @property
    def count(self) -> int:
        return len(self._ids)

    def _add(self, message: Any) -> None:
        self.messages[message.id] = message
        self._ids.append(message.id)
        self._next = message.id + 1

    def _date(self, number: int) -> datetime:
        return FIRST_DAY + timedelta(minutes=number)


@dataclass(slots=True)
class World:
    accounts: list[Account] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)

    def account(self, phone: str = "+9996612345", **fields: Any) -> Account:
        self.accounts.append(Account(phone, **fields))
        return self.accounts[-1]

    def channel(self, title: str, username: str = "", **fields: Any) -> Channel:
        self.channels.append(Channel(title, username, **fields))
        return self.channels[-1]

    def by_phone(self, phone: str) -> Account | None:
        digits = phone.lstrip("+")
        return next((account for account in self.accounts if account.phone.lstrip("+") == digits), None)

    def by_username(self, username: str) -> Channel | None:
        wanted = username.lower()
        return next((c for c in self.channels if c.username.lower() == wanted and wanted and not c.gone), None)

    def by_invite(self, invite: str) -> Channel | None:
        return next((c for c in self.channels if c.invite == invite and not c.gone), None)

    def by_id(self, number: int) -> Channel | None:
        return next((c for c in self.channels if c.id == number), None)
