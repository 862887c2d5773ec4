from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Length
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.request import Request
from rest_framework.response import Response

from backend.core import throttling
from backend.core.pagination import NewestFirst
from backend.core.serializers import ErrorOutput
from backend.documents import corrections, reports
from backend.documents.errors import NothingRead
from backend.documents.models import Chunk, Correction, Document, DocumentVersion, Page
from backend.documents.owned import VERSION, OfOwnDocument, OwnDocument
from backend.documents.previews import preview
from backend.documents.reading_serializers import (
    ChunkChanges,
    ChunkOutput,
    CorrectionOutput,
    PageOutput,
    PageTextOutput,
    PreviewInput,
    PreviewOutput,
    ReadingOutput,
    ReportOutput,
)
from backend.users.current import user_of

_PREVIEWS = throttling.Limit("documents.preview", 30, timedelta(minutes=1))
_CORRECTIONS = throttling.Limit("documents.correct", 120, timedelta(minutes=1))


class InOrder(NewestFirst):
    """Of one version, where numbers are unique."""

    ordering = "number"


class NewestVersionFirst(NewestFirst):
    ordering = "-number"


class InTextOrder(NewestFirst):
    ordering = "position"


@extend_schema(tags=["documents"])
class VersionListView(OwnDocument, generics.ListAPIView[DocumentVersion]):
    """Every reading of a document, newest first: what serves, what is being built, what old citations open."""

    serializer_class = ReadingOutput
    pagination_class = NewestVersionFirst
    filter_backends = []
    queryset = DocumentVersion.objects.none()

    def get_queryset(self) -> QuerySet[DocumentVersion]:
        return DocumentVersion.objects.filter(document=self.get_document()).defer("report")


@extend_schema(tags=["documents"], parameters=[VERSION])
class ReportView(OfOwnDocument, generics.GenericAPIView[Any]):
    """What was read from a document, and what is missing: of the newest reading, or of the version that is named. It is
    there before anything is embedded."""

    serializer_class = ReportOutput

    @extend_schema(responses={200: ReportOutput, 409: ErrorOutput})
    def get(self, request: Request, *_: Any, **__: Any) -> Response:
        named = "version" in request.query_params
        version = self.get_version() if named else reports.newest(self.get_document())
        if version is None:
            raise NothingRead
        return Response(ReportOutput(reports.told(version)).data)


@extend_schema(tags=["documents"], parameters=[VERSION])
class PageListView(OfOwnDocument, generics.ListAPIView[Page]):
    """The pages of a document: those of a PDF or Word file, sheets, slides, posts; elsewhere sections of bounded size.
    Passages that were edited follow, each on a page of its own."""

    serializer_class = PageOutput
    pagination_class = InOrder
    filter_backends = []
    queryset = Page.objects.none()

    def get_queryset(self) -> QuerySet[Page]:
        return Page.objects.filter(version=self.get_version()).annotate(chars=Length("text")).defer("text")


@extend_schema(tags=["documents"], parameters=[VERSION])
class PageView(OfOwnDocument, generics.GenericAPIView[Any]):
    """The text that was read from a page: what citations count their characters in."""

    serializer_class = PageTextOutput

    def get(self, _request: Request, *_: Any, **kwargs: Any) -> Response:
        page = get_object_or_404(Page.objects.filter(version=self.get_version()), number=kwargs["number"])
        return Response(PageTextOutput(page).data)


def _labelled(chunks: QuerySet[Chunk]) -> QuerySet[Chunk]:
    page = Page.objects.filter(version=OuterRef("version"), number=OuterRef("page"))
    return chunks.annotate(page_label=Subquery(page.values("label")[:1]))


@extend_schema(tags=["documents"])
class ChunkListView(OwnDocument, generics.ListAPIView[Chunk]):
    """The passages of the serving version in the order of the text, then those that stand in the place of some."""

    serializer_class = ChunkOutput
    pagination_class = InTextOrder
    filter_backends = []
    queryset = Chunk.objects.none()

    def get_queryset(self) -> QuerySet[Chunk]:
        return _labelled(corrections.listed(self.get_document().version))


@extend_schema(tags=["documents"])
class ChunkView(OwnDocument, generics.GenericAPIView[Any]):
    """One passage of what answers are made from."""

    serializer_class = ChunkOutput

    def get(self, _request: Request, *_: Any, **kwargs: Any) -> Response:
        return Response(self._shown(self.get_document(), kwargs["chunk_id"]))

    @extend_schema(request=ChunkChanges)
    def patch(self, request: Request, *_: Any, **kwargs: Any) -> Response:
        """`text` puts another passage in the place of this one: it is answered with, and serves once it is embedded.
        `enabled` false: it answers nothing from this moment on; true: it answers again, as it was read. Either is kept
        as a correction, and found again whenever the document is read anew."""
        document = self.get_document()
        throttling.hit(_CORRECTIONS, str(user_of(request).pk))
        fields = ChunkChanges(data=request.data)
        fields.is_valid(raise_exception=True)
        given: dict[str, Any] = fields.validated_data
        change = corrections.edit if "text" in given else corrections.switch
        chunk = change(document=document, passage=kwargs["chunk_id"], author=user_of(request), **given)
        return Response(self._shown(document, chunk.pk))

    def _shown(self, document: Document, chunk_id: Any) -> Any:
        return ChunkOutput(
            get_object_or_404(_labelled(Chunk.objects.filter(version=document.version)), pk=chunk_id)
        ).data


@extend_schema(tags=["documents"])
class CorrectionListView(OwnDocument, generics.ListAPIView[Correction]):
    """What you changed in passages, newest first."""

    serializer_class = CorrectionOutput
    filter_backends = []
    queryset = Correction.objects.none()

    def get_queryset(self) -> QuerySet[Correction]:
        document = self.get_document()
        found = Exists(Chunk.objects.filter(correction=OuterRef("pk"), version=document.version))
        return Correction.objects.filter(document=document).annotate(found=found)


@extend_schema(tags=["documents"])
class CorrectionView(OwnDocument, generics.GenericAPIView[Any]):
    """Take a correction back: the passage answers again at once, as it was read."""

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, *_: Any, **kwargs: Any) -> Response:
        corrections.undo(document=self.get_document(), correction_id=kwargs["correction_id"])
        return Response(status=status.HTTP_204_NO_CONTENT)


@extend_schema(tags=["documents"])
class PreviewView(OwnDocument, generics.GenericAPIView[Any]):
    """Which passages other chunk settings would make of this document. Nothing of it is stored."""

    serializer_class = PreviewOutput

    @extend_schema(request=PreviewInput, responses={200: PreviewOutput, 409: ErrorOutput})
    def post(self, request: Request, *_: Any, **__: Any) -> Response:
        document = self.get_document()
        throttling.hit(_PREVIEWS, str(user_of(request).pk))
        fields = PreviewInput(data=request.data)
        fields.is_valid(raise_exception=True)
        version = reports.newest(document)
        if version is None:
            raise NothingRead
        return Response(PreviewOutput(preview(version=version, **fields.validated_data)).data)
