"""The pages that t.me shows of public channels, made from the same world: about 20 posts each, the newest last."""

from html import escape
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from telethon.tl import types

from tests.emulators.telegram.world import Channel, World

PAGE = 20


class PreviewEmulator:
    """`status` is what the next answers have instead, `retry_after` what they say with it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.status = 200
        self.retry_after = ""
        self.asked: list[str] = []
        self.app = Starlette(routes=[Route("/s/{name}", self._history), Route("/{name}", self._card)])

    async def _history(self, request: Request) -> Response:
        self.asked.append(request.url.query)
        if self.status != 200:
            headers = {"retry-after": self.retry_after} if self.retry_after else {}
            return Response(status_code=self.status, headers=headers)
        channel = self.world.by_username(request.path_params["name"])
        if channel is None or channel.private:
            return RedirectResponse(f"/{request.path_params['name']}", 302)
        before = int(request.query_params.get("before", 0))
        page = channel.page(offset_id=before, add_offset=0, limit=PAGE, min_id=0, max_id=0)
        posts = "".join(_post(channel, message) for message in reversed(page))
        return HTMLResponse(
            f'<html><body><div class="tgme_channel_info_header_title"><span dir="auto">{escape(channel.title)}</span>'
            f'</div><section class="tgme_channel_history js-message_history">{posts}</section></body></html>'
        )

    async def _card(self, request: Request) -> Response:
        return HTMLResponse('<html><body><div class="tgme_page">If you have Telegram, you can contact it.</div></body>')


def _post(channel: Channel, message: Any) -> str:
    number = message.id
    service = isinstance(message, types.MessageService)
    words = "" if service else message.message
    text = f'<div class="tgme_widget_message_text js-message_text" dir="auto">{_html(words)}</div>' if words else ""
    kind = " service_message" if service else ""
    return (
        f'<div class="tgme_widget_message_wrap"><div class="tgme_widget_message js-widget_message{kind}"'
        f' data-post="{channel.username}/{number}"><div class="tgme_widget_message_bubble">'
        f'<a class="tgme_widget_message_owner_name" href="#"><span dir="auto">{escape(channel.title)}</span></a>'
        f'{_forwarded(message)}{text}<div class="tgme_widget_message_footer">{_signature(message)}'
        f'<a class="tgme_widget_message_date" href="https://t.me/{channel.username}/{number}">'
        f'<time datetime="{message.date.isoformat()}" class="time">09:00</time></a></div></div></div></div>'
    )


def _html(text: str) -> str:
    return escape(text).replace("\n", "<br/>")


def _forwarded(message: Any) -> str:
    header = getattr(message, "fwd_from", None)
    if header is None:
        return ""
    return (
        '<div class="tgme_widget_message_forwarded_from accent_color">Forwarded from '
        f'<span class="tgme_widget_message_forwarded_from_name">{escape(header.from_name)}</span></div>'
    )


def _signature(message: Any) -> str:
    author = getattr(message, "post_author", None)
    return f'<span class="tgme_widget_message_from_author" dir="auto">{escape(author)}</span>' if author else ""
