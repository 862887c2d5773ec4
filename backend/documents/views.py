from datetime import timedelta
from typing import Any

import django_filters
from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Length
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, status
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from backend.bots.models import Bot
from backend.core import throttling
from backend.core.idempotency import idempotent
from backend.core.pagination import NewestFirst
from backend.core.parsers import StrictJSONParser
from backend.core.serializers import ErrorOutput
from backend.documents import services
from backend.documents.errors import DocumentNotFound, FileMissing, TooLarge
from backend.documents.models import Chunk, Document, Kind, Page, State
from backend.documents.serializers import (
    ChunkOutput,
    DocumentOutput,
    LimitsOutput,
    PageOutput,
    PageTextOutput,
    QueuedOutput,
    TextInput,
    TitleInput,
    UploadInput,
)

# What a multipart body may weigh beside its file: borders, headers, the title.
_ENVELOPE_BYTES = 64 * 1024
_VERSION = OpenApiParameter(
    "version", OpenApiTypes.UUID, description="A version that no longer serves, as old citations name it."
)


class DocumentFilter(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=[choice for choice in State.choices if choice[0] != State.DELETING])
    kind = django_filters.ChoiceFilter(choices=Kind.choices)
    title = django_filters.CharFilter(lookup_expr="icontains")


class OwnBot:
    """For views below a bot that only its owner may see."""

    kwargs: dict[str, Any]
    request: Any

    def get_bot(self) -> Bot:
        return get_object_or_404(Bot.objects.owned_by(self.request.user), pk=self.kwargs["bot_id"])


@extend_schema(tags=["documents"])
class DocumentListView(OwnBot, generics.ListCreateAPIView[Document]):
    """What a bot knows. Only its owner sees it."""

    serializer_class = DocumentOutput
    filterset_class = DocumentFilter
    parser_classes: list[type[BaseParser]] = [MultiPartParser, StrictJSONParser]
    queryset = Document.objects.none()

    def get_queryset(self) -> QuerySet[Document]:
        documents: QuerySet[Document] = Document.objects.owned_by(self.request.user).filter(bot=self.get_bot())
        return documents.select_related("version")

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Also refuses a body that is too large, before it is read."""
        super().initial(request, *args, **kwargs)
        if request.method == "POST" and _declared_bytes(request) > settings.UPLOAD_LIMIT_BYTES + _ENVELOPE_BYTES:
            raise TooLarge(details=services.limits())

    @extend_schema(
        request={"multipart/form-data": UploadInput, "application/json": TextInput},
        responses={
            201: DocumentOutput,
            409: OpenApiResponse(ErrorOutput, "The bot has a document with this content; `details.id` names it"),
            413: OpenApiResponse(ErrorOutput, "`details` tells the limits"),
            415: OpenApiResponse(ErrorOutput, "`details` tells the formats"),
        },
    )
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        bot = self.get_bot()
        limit = throttling.Limit("documents.upload", settings.UPLOAD_LIMIT_PER_HOUR, timedelta(hours=1))
        throttling.hit(limit, str(request.user.pk))
        document = _uploaded(bot, request) if _is_multipart(request) else _pasted(bot, request)
        return Response(DocumentOutput(document).data, status=status.HTTP_201_CREATED)


def _declared_bytes(request: Request) -> int:
    declared = request.META.get("CONTENT_LENGTH") or "0"
    return int(declared) if declared.isdecimal() else 0


def _is_multipart(request: Request) -> bool:
    return (request.content_type or "").startswith("multipart/")


def _uploaded(bot: Bot, request: Request) -> Document:
    if "file" not in request.FILES:
        raise FileMissing
    fields = UploadInput(data=request.data)
    fields.is_valid(raise_exception=True)
    file = fields.validated_data["file"]
    return services.upload_document(bot=bot, file=file, filename=file.name, title=fields.validated_data["title"])


def _pasted(bot: Bot, request: Request) -> Document:
    fields = TextInput(data=request.data)
    fields.is_valid(raise_exception=True)
    return services.paste_text(bot=bot, **fields.validated_data)


@extend_schema(tags=["documents"])
class LimitsView(OwnBot, generics.GenericAPIView[Any]):
    """What an upload to this bot may be."""

    serializer_class = LimitsOutput

    @extend_schema(responses=LimitsOutput)
    def get(self, _request: Request, *_: Any, **__: Any) -> Response:
        self.get_bot()
        return Response(services.limits())


class OwnDocument:
    """For views of a document that only its bot's owner may see."""

    kwargs: dict[str, Any]
    request: Any

    def get_document(self) -> Document:
        documents = Document.objects.owned_by(self.request.user).select_related("version")
        return get_object_or_404(documents, pk=self.kwargs["document_id"])


@extend_schema(tags=["documents"])
class DocumentView(OwnDocument, generics.GenericAPIView[Any]):
    """State and progress of one document; `error` says what went wrong, what to do, and when it is tried again."""

    serializer_class = DocumentOutput

    def get(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(DocumentOutput(self.get_document()).data)

    @extend_schema(request=TitleInput)
    def patch(self, request: Request, *_: Any, **__: Any) -> Response:
        fields = TitleInput(data=request.data)
        fields.is_valid(raise_exception=True)
        return Response(DocumentOutput(services.rename(document=self.get_document(), **fields.validated_data)).data)

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, *_: Any, **__: Any) -> Response:
        """It answers nothing from this moment on; its text, vectors and file are erased by a job."""
        services.delete_document(document=self.get_document())
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["documents"])
class OriginalView(OwnDocument, generics.GenericAPIView[Any]):
    """The file as it was uploaded; always a download, never shown."""

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, 404: ErrorOutput})
    def get(self, _request: Request, *_: Any, **__: Any) -> HttpResponse:
        document = self.get_document()
        with services.open_original(document=document) as file:
            # In one piece: an upload is small, and a file's iterator would be read whole under ASGI anyway.
            response = HttpResponse(file.read(), content_type=document.media_type)
        response["Content-Disposition"] = content_disposition_header(True, document.filename)
        response["Content-Security-Policy"] = "sandbox; default-src 'none'"
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "private, no-store"
        return response


class InOrder(NewestFirst):
    """Of one version, where numbers are unique."""

    ordering = "number"


class InTextOrder(NewestFirst):
    ordering = "position"


class OfOwnDocument(OwnDocument):
    """For views of what was read from a document: of the version that serves, or of the one that is named."""

    def get_version(self) -> Any:
        document = self.get_document()
        wanted = self.request.query_params.get("version")
        if wanted is None:
            return document.version
        version = next((row for row in document.versions.all() if str(row.pk) == wanted), None)
        if version is None:
            raise DocumentNotFound
        return version


@extend_schema(tags=["documents"], parameters=[_VERSION])
class PageListView(OfOwnDocument, generics.ListAPIView[Page]):
    """The pages of a document: those of a PDF or Word file, sections of bounded length elsewhere."""

    serializer_class = PageOutput
    pagination_class = InOrder
    filter_backends = []
    queryset = Page.objects.none()

    def get_queryset(self) -> QuerySet[Page]:
        return Page.objects.filter(version=self.get_version()).annotate(chars=Length("text")).defer("text")


@extend_schema(tags=["documents"], parameters=[_VERSION])
class PageView(OfOwnDocument, generics.GenericAPIView[Any]):
    """The text that was read from a page: what citations count their characters in."""

    serializer_class = PageTextOutput

    def get(self, _request: Request, *_: Any, **kwargs: Any) -> Response:
        page = get_object_or_404(Page.objects.filter(version=self.get_version()), number=kwargs["number"])
        return Response(PageTextOutput(page).data)


@extend_schema(tags=["documents"])
class ChunkListView(OwnDocument, generics.ListAPIView[Chunk]):
    """The passages of the serving version, in the order of the text."""

    serializer_class = ChunkOutput
    pagination_class = InTextOrder
    filter_backends = []
    queryset = Chunk.objects.none()

    def get_queryset(self) -> QuerySet[Chunk]:
        return Chunk.objects.filter(version=self.get_document().version)


@extend_schema(tags=["documents"])
class RetryView(OwnDocument, generics.GenericAPIView[Any]):
    """Begin a failed document anew, or do not wait for the next try."""

    serializer_class = DocumentOutput

    @extend_schema(request=None, responses={200: DocumentOutput, 409: ErrorOutput})
    @idempotent
    def post(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(DocumentOutput(services.retry(document=self.get_document())).data)


@extend_schema(tags=["documents"])
class ReindexView(OwnDocument, generics.GenericAPIView[Any]):
    """Read the original again with the bot's chunk settings of now; what serves, serves until that is done."""

    serializer_class = DocumentOutput

    @extend_schema(request=None, responses={200: DocumentOutput, 409: ErrorOutput})
    @idempotent
    def post(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(DocumentOutput(services.reindex(document=self.get_document())).data)


@extend_schema(tags=["documents"])
class ReindexBotView(OwnBot, generics.GenericAPIView[Any]):
    """Read all documents of a bot again, each serving until its new version is whole."""

    serializer_class = QueuedOutput

    @extend_schema(request=None, responses={202: QueuedOutput})
    @idempotent
    def post(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response({"queued": services.reindex_bot(bot=self.get_bot())}, status=status.HTTP_202_ACCEPTED)
