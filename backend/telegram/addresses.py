"""What people paste when they are asked for a channel."""

import re
from dataclasses import dataclass

_NAME = r"[A-Za-z][A-Za-z0-9_]{3,31}"
_HOST = r"(?:https?://)?(?:www\.)?(?:t\.me|telegram\.me|telegram\.dog)/"
_MAX_CHARS = 300

_INVITE = re.compile(rf"(?:{_HOST}(?:\+|joinchat/)|tg://join\?invite=)([A-Za-z0-9_-]{{8,64}})/?", re.ASCII)
_NAMED = re.compile(rf"(?:@|{_HOST}(?:s/)?|tg://resolve\?domain=)?({_NAME})(?:/\d{{1,15}})?/?(?:\?[^#]*)?", re.ASCII)
# First parts of t.me's own addresses that look like names.
_RESERVED = {
    "addemoji", "addlist", "addstickers", "addtheme", "boost", "confirmphone", "contact", "giftcode", "invoice",
    "joinchat", "login", "proxy", "setlanguage", "share", "socks",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Address:
    """One of the two: a public channel's name without the @, or the secret part of an invite link."""

    username: str = ""
    invite: str = ""

    @property
    def canonical(self) -> str:
        return f"@{self.username}" if self.username else f"https://t.me/+{self.invite}"

    @property
    def link(self) -> str:
        """Empty for an invitation: who has its link can join."""
        return f"https://t.me/{self.username}" if self.username else ""


def parse(text: str) -> Address | None:
    """`@name`, `name`, t.me and telegram.me links to a channel, its preview or a message of it, and invite links. A
    link by number (`t.me/c/…`) is none: whoever guesses one must not read what only the operator has joined."""
    text = text.strip()
    if len(text) > _MAX_CHARS:
        return None
    if invited := _INVITE.fullmatch(text):
        return Address(invite=invited[1])
    named = _NAMED.fullmatch(text)
    if named is None or named[1].lower() in _RESERVED:
        return None
    return Address(username=named[1])
