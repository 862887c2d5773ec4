"""What the tools do: each is one thing that the native API does too, for the same person, at the same price."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.conf import settings
from mcp_types import CallToolResult, TextContent
from pydantic import ValidationError
from rest_framework.renderers import JSONRenderer

from backend.bots.models import Bot
from backend.conversations import services
from backend.conversations.models import Answer, AnswerState, Origin
from backend.conversations.questions.search import search
from backend.conversations.rest.search_serializers import SearchOutput
from backend.conversations.services import OpenedTurn, RequestKey
from backend.core import request_id
from backend.core.errors import ChatSphereError
from backend.documents.errors import DocumentNotFound
from backend.documents.models import Document, Page
from backend.mcp_server import wording
from backend.mcp_server.tools import ARGUMENTS, Arguments, AskBot, ListBots, ReadDocument, SearchKnowledge
from backend.users.models import User


class ArgumentsInvalid(ChatSphereError):
    """The arguments do not fit the tool."""

    code = "invalid"


class NoSuchTool(ChatSphereError):
    """There is no such tool; tools/list has those there are."""

    status = HTTPStatus.NOT_FOUND
    code = "unknown_tool"


def call(
    *, user: User, name: str, arguments: Mapping[str, Any] | None, key: RequestKey | None
) -> CallToolResult | OpenedTurn | Answer:
    """The result; of a question the turn that is to be waited for. What the product refuses is a result, too."""
    try:
        match _checked(name, arguments or {}):
            case ListBots() as given:
                return _bots(user, given)
            case SearchKnowledge() as given:
                return _passages(user, given)
            case ReadDocument() as given:
                return _page(user, given)
            case AskBot() as given:
                return _asked(user, given, key)
    except ChatSphereError as error:
        return refused(error.code, error.message, error.details)
    raise NoSuchTool


def answered(answer: Answer, shown: Mapping[str, Any]) -> CallToolResult:
    """Of an ended answer. `shown` is what the native API shows of it."""
    if answer.state == AnswerState.FAILED:
        return refused(answer.error_code, answer.error_message, {"answer_id": str(answer.pk), "charged": 0})
    return _result(wording.answer(shown), dict(shown))


def refused(code: str, message: str, details: Mapping[str, Any]) -> CallToolResult:
    said = {"code": code, "message": message, "details": dict(details), "request_id": request_id.current.get()}
    return CallToolResult(
        content=[TextContent(text=f"{message} ({code})")], structured_content={"error": said}, is_error=True
    )


def _checked(name: str, arguments: Mapping[str, Any]) -> Arguments:
    if name not in ARGUMENTS:
        raise NoSuchTool
    try:
        return ARGUMENTS[name].model_validate(arguments)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        places = {".".join(map(str, problem["loc"]))[:100] or "arguments": problem["msg"] for problem in problems[:5]}
        told = "; ".join(f"{place}: {problem}" for place, problem in places.items())
        raise ArgumentsInvalid(f"The arguments do not fit the tool. {told}", details=places) from None


def _bots(user: User, given: ListBots) -> CallToolResult:
    bots = Bot.objects.listed_for(user).filter(name__icontains=given.search)
    own, others = bots.filter(owner=user), bots.exclude(owner=user)
    rows = [*own.order_by("-id")[: given.limit], *others.order_by("-id")[: given.limit]][: given.limit]
    shown = [
        {"id": str(bot.pk), "name": bot.name, "description": bot.description, "yours": bot.owner_id == user.pk}
        for bot in rows
    ]
    return _result(wording.bots(shown), {"bots": shown})


def _passages(user: User, given: SearchKnowledge) -> CallToolResult:
    _check_length(given.query)
    found = search(user=user, bot_id=given.bot, query=given.query, limit=given.limit)
    shown = _plain(SearchOutput(found).data)
    return _result(wording.passages(shown["passages"]), shown)


def _page(user: User, given: ReadDocument) -> CallToolResult:
    document = Document.objects.owned_by(user).select_related("version").filter(pk=given.document).first()
    page = Page.objects.filter(version=document.version, number=given.page).first() if document else None
    if document is None or document.version is None or page is None:
        raise DocumentNotFound
    shown = {
        "document": {"id": str(document.pk), "title": document.title},
        "version": document.version.number,
        "page": page.number,
        "pages": document.version.page_count,
        "label": page.label,
        "link": page.link or document.link,
        "text": page.text,
    }
    return _result(page.text, shown)


def _asked(user: User, given: AskBot, key: RequestKey | None) -> OpenedTurn | Answer:
    _check_length(given.question)
    return services.ask_once(user=user, bot_id=given.bot, text=given.question, origin=Origin.MCP, key=key)


def _check_length(text: str) -> None:
    limit = settings.MESSAGE_LIMIT_CHARS
    if not text.strip() or len(text) > limit:
        raise ArgumentsInvalid(f"A question has 1 to {limit} characters.")


def _result(text: str, structured: dict[str, Any]) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text)], structured_content=structured)


def _plain(data: Any) -> Any:
    return json.loads(JSONRenderer().render(data))
