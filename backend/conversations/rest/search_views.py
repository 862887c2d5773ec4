from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response

from backend.conversations.passages.across import Asked
from backend.conversations.questions.search import ask_across, search, search_across
from backend.conversations.rest.asynchronous import TurnResponse, TurnView, request_key
from backend.conversations.rest.search_serializers import (
    SearchAcrossInput,
    SearchAcrossOutput,
    SearchInput,
    SearchOutput,
    filters_of,
)
from backend.conversations.rest.views import ANSWERED
from backend.users.current import user_of


@extend_schema(tags=["search"])
class SearchView(generics.GenericAPIView[Any]):
    """Passages of a bot's documents that fit a question, best first. Asks no model and costs nothing."""

    serializer_class = SearchOutput

    @extend_schema(request=SearchInput, responses={200: SearchOutput})
    def post(self, request: Request, *_: Any, **kwargs: Any) -> Response:
        fields = SearchInput(data=request.data)
        fields.is_valid(raise_exception=True)
        given = fields.validated_data
        user = user_of(request)
        found = search(
            user=user,
            bot_id=kwargs["bot_id"],
            query=given["query"],
            limit=given["limit"],
            filters=filters_of(given.get("filters"), asker=user),
        )
        return Response(SearchOutput(found).data)


@extend_schema(tags=["search"])
class SearchAcrossView(TurnView, generics.GenericAPIView[Any]):
    """Passages of all bots that you may see, best first: your own, public ones, and unlisted ones that you have talked
    with. With mode "chat" one answer over them, as of a bot, in a conversation of its own."""

    serializer_class = SearchAcrossOutput

    @extend_schema(request=SearchAcrossInput, responses={(200, "application/json"): SearchAcrossOutput} | ANSWERED)
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        fields = SearchAcrossInput(data=request.data)
        fields.is_valid(raise_exception=True)
        given, user = fields.validated_data, user_of(request)
        asked = Asked(filters_of(given.get("filters"), asker=user), given.get("bots", ()))
        if given["mode"] == "chat":
            return TurnResponse(ask_across(user=user, text=given["query"], asked=asked, key=request_key(request)))
        found = search_across(user=user, query=given["query"], limit=given["limit"], asked=asked)
        return Response(SearchAcrossOutput(found).data)
