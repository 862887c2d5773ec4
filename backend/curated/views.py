from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from backend.bots.models import Bot
from backend.core.idempotency import idempotent
from backend.core.throttling import Limit, hit
from backend.curated import services
from backend.curated.models import Pair
from backend.curated.serializers import PairInput, PairOutput
from backend.users.current import user_of


class OwnPairs(generics.GenericAPIView[Pair]):
    serializer_class = PairOutput
    lookup_url_kwarg = "question_id"
    queryset = Pair.objects.none()

    def get_queryset(self) -> QuerySet[Pair]:
        pairs: QuerySet[Pair] = Pair.objects.owned_by(self.request.user)
        return pairs.select_related("book__document").prefetch_related("phrasings")

    def count_change(self) -> None:
        user = user_of(self.request)
        hit(Limit("documents.upload", settings.UPLOAD_LIMIT_PER_HOUR, timedelta(hours=1)), str(user.pk))


@extend_schema(tags=["questions"])
class PairListView(OwnPairs, generics.ListAPIView[Pair]):
    """A bot's questions with answers of your own, newest first. What is asked in these words, or in words that differ
    in nothing that carries weight, is answered in yours, at once and without a model."""

    def get_queryset(self) -> QuerySet[Pair]:
        if "bot_id" not in self.kwargs:  # the schema generator has no bot in hand
            return Pair.objects.none()
        return super().get_queryset().filter(book__document__bot=self._bot())

    @extend_schema(request=PairInput, responses={201: PairOutput})
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        """Add a question with an answer of your own."""
        bot = self._bot()
        fields = PairInput(data=request.data)
        fields.is_valid(raise_exception=True)
        self.count_change()
        pair = services.create_pair(bot=bot, **fields.validated_data)
        return Response(PairOutput(pair).data, status=status.HTTP_201_CREATED)

    def _bot(self) -> Bot:
        return get_object_or_404(Bot.objects.owned_by(self.request.user), pk=self.kwargs["bot_id"])


@extend_schema(tags=["questions"])
class PairView(OwnPairs, generics.RetrieveAPIView[Pair]):
    """One question with its answer. A change, and a deletion, holds from the next question on."""

    @extend_schema(request=PairInput)
    def patch(self, request: Request, *_: Any, **__: Any) -> Response:
        """Change a question or its answer; it holds from the next question on."""
        pair = self.get_object()
        fields = PairInput(data=request.data, partial=True)
        fields.is_valid(raise_exception=True)
        self.count_change()
        return Response(PairOutput(services.change_pair(pair=pair, changes=fields.validated_data)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, *_: Any, **__: Any) -> Response:
        """Delete a question with its answer."""
        services.delete_pair(pair=self.get_object(), requested_by=user_of(request).pk)
        return Response(status=status.HTTP_204_NO_CONTENT)
