"""For views of what only its owner may see: another's and a made-up id get the same 404."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from backend.bots.models import Bot
from backend.documents.errors import DocumentNotFound
from backend.documents.models import Document, DocumentVersion

VERSION = OpenApiParameter(
    "version", OpenApiTypes.UUID, description="A version that no longer serves, as old citations name it."
)


class OwnBot:
    """Below a bot."""

    kwargs: dict[str, Any]
    request: Any

    def get_bot(self) -> Bot:
        return get_object_or_404(Bot.objects.owned_by(self.request.user), pk=self.kwargs["bot_id"])


class OwnDocument:
    """Below a document."""

    kwargs: dict[str, Any]
    request: Any

    def get_document(self) -> Document:
        documents = Document.objects.owned_by(self.request.user).select_related("version", "bot")
        return get_object_or_404(documents, pk=self.kwargs["document_id"])


class OfOwnDocument(OwnDocument):
    """Below one reading of a document: the one that serves, or the one that is named."""

    def get_version(self) -> DocumentVersion | None:
        document = self.get_document()
        wanted = self.request.query_params.get("version")
        if wanted is None:
            return document.version
        version = next((row for row in document.versions.all() if str(row.pk) == wanted), None)
        if version is None:
            raise DocumentNotFound
        return version
