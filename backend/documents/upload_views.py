from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import django_filters
from django.conf import settings
from django.db.models import QuerySet
from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, status
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from backend.bots.models import Bot
from backend.core import throttling
from backend.core.idempotency import idempotent
from backend.core.parsers import StrictJSONParser
from backend.core.serializers import ErrorOutput
from backend.documents import quotas, services
from backend.documents.errors import FileMissing, NotReplaceable, TooLarge
from backend.documents.models import Document, Kind, State
from backend.documents.owned import OwnBot, OwnDocument
from backend.documents.serializers import (
    DocumentOutput,
    LimitsOutput,
    ReplacedOutput,
    ReplacementInput,
    TextInput,
    UploadInput,
    UploadsOutput,
)
from backend.users.current import user_of

_BY_HAND = (Kind.FILE, Kind.TEXT)  # what comes from elsewhere changes there
# What a multipart body may weigh beside its files: borders, headers, the title.
_ENVELOPE_BYTES = 64 * 1024
_REFUSED = {
    403: OpenApiResponse(ErrorOutput, "Your plan does not allow more; `details` tells how much it does"),
    409: OpenApiResponse(ErrorOutput, "The bot has a document with this content; `details.id` names it"),
    413: OpenApiResponse(ErrorOutput, "`details` tells the limits"),
    415: OpenApiResponse(ErrorOutput, "`details` tells the formats"),
}


class DocumentFilter(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=[choice for choice in State.choices if choice[0] != State.DELETING])
    kind = django_filters.ChoiceFilter(choices=Kind.choices)
    title = django_filters.CharFilter(lookup_expr="icontains")
    enabled = django_filters.BooleanFilter()
    error = django_filters.CharFilter("error_code", label="the code of what failed")


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
        super().initial(request, *args, **kwargs)
        refuse_too_large(request)

    @extend_schema(
        request={"multipart/form-data": UploadInput, "application/json": TextInput},
        responses={
            201: DocumentOutput,
            207: OpenApiResponse(UploadsOutput, "Of several files, or an archive: what became of each"),
            **_REFUSED,
        },
    )
    @idempotent
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        """One file in `file`, or a text as JSON: 201 with the document. Several `file` parts, or a ZIP archive: each
        file is taken or refused on its own, and told in a 207."""
        bot = self.get_bot()
        if not (request.content_type or "").startswith("multipart/"):
            return _pasted(bot, request)
        fields = _upload_fields(UploadInput, request)
        files = fields.pop("file")
        if len(files) > 1 or services.is_archive(files[0], files[0].name):
            return _many(bot, request, files, fields)
        _allow(request)()
        document = services.upload_document(bot=bot, file=files[0], filename=files[0].name, **fields)
        return Response(DocumentOutput(document).data, status=status.HTTP_201_CREATED)


def refuse_too_large(request: Request) -> None:
    """Before a body is read that says it is larger than any may be."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    most = settings.UPLOAD_REQUEST_LIMIT_BYTES + _ENVELOPE_BYTES
    if request.method in ("POST", "PUT") and declared.isdecimal() and int(declared) > most:
        raise TooLarge(details=services.limits())


def _upload_fields(serializer: Callable[..., Any], request: Request) -> dict[str, Any]:
    if "file" not in request.FILES:
        raise FileMissing
    fields = serializer(data=request.data)
    fields.is_valid(raise_exception=True)
    return dict(fields.validated_data)


def _many(bot: Bot, request: Request, files: list[Any], fields: dict[str, Any]) -> Response:
    fields.pop("title")  # one title for all would name none of them
    outcomes = services.upload_all(
        bot=bot, files=[(file.name, file) for file in files], allow=_allow(request), **fields
    )
    created = sum(outcome.document is not None for outcome in outcomes)
    body = {"created": created, "refused": len(outcomes) - created, "results": outcomes}
    return Response(UploadsOutput(body).data, status=status.HTTP_207_MULTI_STATUS)


def _allow(request: Request) -> Callable[[], None]:
    """Counts one upload. Raises TooManyRequests."""
    limit = throttling.Limit("documents.upload", settings.UPLOAD_LIMIT_PER_HOUR, timedelta(hours=1))
    return partial(throttling.hit, limit, str(user_of(request).pk))


def _pasted(bot: Bot, request: Request) -> Response:
    _allow(request)()
    fields = TextInput(data=request.data)
    fields.is_valid(raise_exception=True)
    document = services.paste_text(bot=bot, **fields.validated_data)
    return Response(DocumentOutput(document).data, status=status.HTTP_201_CREATED)


@extend_schema(tags=["documents"])
class LimitsView(OwnBot, generics.GenericAPIView[Any]):
    """What an upload to this bot may be, and how much your plan still allows."""

    serializer_class = LimitsOutput

    @extend_schema(responses=LimitsOutput)
    def get(self, _request: Request, *_: Any, **__: Any) -> Response:
        return Response(LimitsOutput(services.limits() | quotas.limits(self.get_bot())).data)


class _Download(FileResponse):
    block_size = 256 * 1024  # each is a step into a thread and back


@extend_schema(tags=["documents"])
class OriginalView(OwnDocument, generics.GenericAPIView[Any]):
    """The file as it was uploaded; always a download, never shown."""

    parser_classes = [MultiPartParser]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        refuse_too_large(request)

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, 404: ErrorOutput})
    def get(self, _request: Request, *_: Any, **__: Any) -> FileResponse:
        document = self.get_document()
        file = services.open_original(document=document)
        response = _Download(file, as_attachment=True, filename=document.filename, content_type=document.media_type)
        response["Content-Security-Policy"] = "sandbox; default-src 'none'"
        response["X-Content-Type-Options"] = "nosniff"
        response["Cache-Control"] = "private, no-store"
        return response

    @extend_schema(
        request={"multipart/form-data": ReplacementInput}, responses={200: ReplacedOutput, 404: ErrorOutput, **_REFUSED}
    )
    @idempotent
    def put(self, request: Request, *_: Any, **__: Any) -> Response:
        """Another content for the same document: it becomes a new version, and the old one answers until that is
        whole. The same bytes change nothing, and `changed` says so."""
        document = self.get_document()
        if document.kind not in _BY_HAND:
            raise NotReplaceable
        fields = _upload_fields(ReplacementInput, request)
        _allow(request)()
        file = fields.pop("file")
        changed = services.replace_document(document=document, file=file, filename=file.name, **fields)
        return Response(ReplacedOutput({"changed": changed, "document": document}).data)
