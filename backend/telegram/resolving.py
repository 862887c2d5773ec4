"""Which channel an address means, for the account that asks."""

from typing import Any

from telethon import functions, types

from backend.telegram.accounts import Account
from backend.telegram.addresses import Address
from backend.telegram.errors import TelegramFailed
from backend.telegram.models import Channel


def resolved(account: Account, address: Address, channel: Channel) -> Channel:
    """`channel` with what Telegram says of it now, saved. Names are looked up once for each account: Telegram is
    sparing with that. Raises TelegramFailed."""
    found = _known(account, channel) or _found(account, address)
    if isinstance(found, types.ChannelForbidden):
        raise TelegramFailed("telegram_channel_private")
    if not isinstance(found, types.Channel):
        raise TelegramFailed("telegram_not_a_channel")
    if channel.channel_id not in (None, found.id):
        channel.reached = 0  # the name has passed to another channel, of which nothing was read
    channel.session = account.session
    channel.channel_id, channel.access_hash = found.id, found.access_hash
    channel.username, channel.title = _username(found), found.title[:255]
    channel.save()
    return channel


def _known(account: Account, channel: Channel) -> Any:
    """None where it has to be looked up, also when it was deleted, or made anew under the same name."""
    if channel.channel_id is None or channel.session_id != account.session.pk:
        return None
    asked = types.InputChannel(channel.channel_id, channel.access_hash)
    try:
        answer = account.ask(functions.channels.GetFullChannelRequest(asked))
    except TelegramFailed as exc:
        if exc.code == "telegram_channel_gone":
            return None
        raise
    return next((chat for chat in answer.chats if chat.id == channel.channel_id), None)


def _found(account: Account, address: Address) -> Any:
    if address.invite:
        invited = account.ask(functions.messages.CheckChatInviteRequest(address.invite))
        if not isinstance(invited, types.ChatInviteAlready):
            raise TelegramFailed("telegram_not_joined")
        return invited.chat
    answer = account.ask(functions.contacts.ResolveUsernameRequest(address.username))
    number = getattr(answer.peer, "channel_id", None)
    return next((chat for chat in answer.chats if chat.id == number), None)


def _username(channel: Any) -> str:
    """A channel may have several, and the one that counts is the first that is in use."""
    active = [name.username for name in channel.usernames or () if name.active]
    return str(channel.username or next(iter(active), ""))
