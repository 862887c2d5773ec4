"""The OpenAPI document as it is served: generated once a process, the same for everybody."""

import hashlib
from functools import cache
from threading import Lock
from typing import Any

from django.http import HttpResponseBase
from django.http.response import HttpResponse
from django.utils.cache import get_conditional_response
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

_generating = Lock()


@extend_schema(exclude=True)
class Schema(SpectacularAPIView):
    permission_classes = [AllowAny]
    authentication_classes = []  # nothing in it depends on who asks

    def get(self, request: Request, *_: Any, **__: Any) -> HttpResponseBase:
        renderer = request.accepted_renderer
        with _generating:  # a second of CPU: those who ask together for the first time wait for one of them
            content, etag = _rendered(renderer.format)
        response = HttpResponse(content, content_type=f"{renderer.media_type}; charset=utf-8")
        response["Content-Disposition"] = f'inline; filename="ChatSphere API.{renderer.format}"'
        response["Cache-Control"] = "no-cache"  # kept by clients, and asked for again: another release has another
        response["ETag"] = etag
        return get_conditional_response(request._request, etag=etag, response=response) or response  # noqa: SLF001


@cache
def _rendered(as_format: str) -> tuple[bytes, str]:
    """The document and its ETag."""
    renderer = OpenApiYamlRenderer() if as_format == OpenApiYamlRenderer.format else OpenApiJsonRenderer()
    content = renderer.render(_document(), renderer.media_type, {})
    return content, f'"{hashlib.sha256(content).hexdigest()}"'


@cache
def _document() -> dict[str, Any]:
    generated: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return generated
