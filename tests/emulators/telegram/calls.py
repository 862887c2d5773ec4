"""What each request is answered with, for the account of the key it came under."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from telethon.tl import functions, types

from tests.emulators.telegram.faults import RpcFault
from tests.emulators.telegram.login import Login
from tests.emulators.telegram.world import Account, Channel, World

_STATE = {"pts": 1, "qts": 0, "date": datetime(2024, 3, 1, tzinfo=UTC), "seq": 1}


class Answers:
    def __init__(self, world: World, dc_id: int, address: tuple[str, int]) -> None:
        self._world = world
        self._dc = dc_id, *address
        self._open: dict[type, Callable[[Login, Any], Any]] = {
            functions.help.GetConfigRequest: self._config,
            functions.auth.SendCodeRequest: lambda login, request: login.send_code(world, request),
            functions.auth.SignInRequest: lambda login, request: login.sign_in(world, request),
            functions.account.GetPasswordRequest: lambda login, _: login.password(),
            functions.auth.CheckPasswordRequest: lambda login, request: login.check_password(request),
        }
        self._known: dict[type, Callable[[Account, Any], Any]] = {
            functions.users.GetUsersRequest: lambda account, _: [account.user()],
            functions.updates.GetStateRequest: lambda *_: types.updates.State(**_STATE, unread_count=0),
            functions.updates.GetDifferenceRequest: lambda *_: types.updates.DifferenceEmpty(_STATE["date"], 1),
            functions.contacts.ResolveUsernameRequest: self._resolve,
            functions.messages.CheckChatInviteRequest: self._invite,
            functions.channels.GetChannelsRequest: self._channels,
            functions.channels.GetFullChannelRequest: self._full,
            functions.messages.GetHistoryRequest: self._history,
            functions.channels.GetMessagesRequest: self._messages,
        }

    def answer(self, login: Login, request: Any) -> Any:
        """A TL object, a bool, or a list of objects. Raises RpcFault."""
        if type(request) in self._open:
            return self._open[type(request)](login, request)
        if login.account is None:
            raise RpcFault(401, "AUTH_KEY_UNREGISTERED")
        if isinstance(request, functions.auth.LogOutRequest):
            login.account = None
            return types.auth.LoggedOut()
        if type(request) not in self._known:
            raise RpcFault(400, "METHOD_INVALID")
        return self._known[type(request)](login.account, request)

    def _config(self, _login: Login, _request: Any) -> Any:
        now = datetime.now(UTC)
        number, host, port = self._dc
        integers = dict.fromkeys(_CONFIG_NUMBERS, 1000)
        return types.Config(
            date=now,
            expires=now + timedelta(hours=1),
            test_mode=False,
            this_dc=number,
            dc_options=[types.DcOption(number, host, port)],
            dc_txt_domain_name="",
            me_url_prefix="https://t.me/",
            **integers,
        )

    def _resolve(self, account: Account, request: Any) -> Any:
        wanted = request.username.lower()
        person = next((a for a in self._world.accounts if a.first_name.lower() == wanted), None)
        if person is not None:
            return types.contacts.ResolvedPeer(types.PeerUser(person.id), [], [person.user()])
        channel = self._world.by_username(wanted)
        if channel is None:
            raise RpcFault(400, "USERNAME_NOT_OCCUPIED")
        return types.contacts.ResolvedPeer(types.PeerChannel(channel.id), [channel.seen_by(account)], [])

    def _invite(self, account: Account, request: Any) -> Any:
        channel = self._world.by_invite(request.hash)
        if channel is None:
            raise RpcFault(400, "INVITE_HASH_EXPIRED")
        if account.id in channel.members:
            return types.ChatInviteAlready(channel.seen_by(account))
        return types.ChatInvite(channel.title, types.PhotoEmpty(1), 10, 1, channel=True, broadcast=True)

    def _channels(self, account: Account, request: Any) -> Any:
        return types.messages.Chats([self._found(account, asked).seen_by(account) for asked in request.id])

    def _full(self, account: Account, request: Any) -> Any:
        channel = self._found(account, request.channel)
        full = types.ChannelFull(
            id=channel.id,
            about="",
            read_inbox_max_id=0,
            read_outbox_max_id=0,
            unread_count=0,
            chat_photo=types.PhotoEmpty(1),
            notify_settings=types.PeerNotifySettings(),
            bot_info=[],
            pts=channel.count,
            participants_count=10,
        )
        return types.messages.ChatFull(full, [channel.seen_by(account)], [])

    def _history(self, account: Account, request: Any) -> Any:
        channel = self._found(account, request.peer)
        page = channel.page(
            offset_id=request.offset_id,
            add_offset=request.add_offset,
            limit=request.limit,
            min_id=request.min_id,
            max_id=request.max_id,
        )
        return self._found_messages(account, channel, page)

    def _messages(self, account: Account, request: Any) -> Any:
        channel = self._found(account, request.channel)
        asked = [wanted.id for wanted in request.id]
        found = [channel.messages.get(number) or types.MessageEmpty(number, None) for number in asked]
        return self._found_messages(account, channel, found)

    def _found_messages(self, account: Account, channel: Channel, messages: list[Any]) -> Any:
        return types.messages.ChannelMessages(
            pts=channel.count,
            count=channel.count,
            messages=messages,
            topics=[],
            chats=[channel.seen_by(account), *channel.sources.values()],
            users=list(channel.users.values()),
        )

    def _found(self, account: Account, peer: Any) -> Channel:
        channel = self._world.by_id(getattr(peer, "channel_id", 0))
        if channel is None or channel.gone or peer.access_hash != channel.access_hash(account):
            raise RpcFault(400, "CHANNEL_INVALID")
        if channel.private or (not channel.username and account.id not in channel.members):
            raise RpcFault(406, "CHANNEL_PRIVATE")
        return channel


_CONFIG_NUMBERS = [
    name
    for name in itertools.islice(types.Config.__init__.__code__.co_varnames, 7, 64)
    if types.Config.__init__.__annotations__.get(name) is int
]
