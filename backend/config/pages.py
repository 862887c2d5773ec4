"""The pages that belong to no app: the greeting, health, and the index of the API."""

import logging
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils.log import log_response
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from backend.config import readiness

logger = logging.getLogger(__name__)


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    response = render(request, "home.html")
    response["Content-Security-Policy"] = "default-src 'none'; img-src 'self'; style-src 'self'; frame-ancestors 'none'"
    return response


@require_safe
def favicon(_request: HttpRequest) -> HttpResponseRedirect:
    """Where browsers look for it on pages that name none: the admin's, and those of the API."""
    return HttpResponseRedirect(static("chatsphere/icon.svg"))


@require_safe
def health(_request: HttpRequest) -> JsonResponse:
    """The process runs; says nothing of what it depends on."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """503 until every part is in order; names what is not."""
    checks = readiness.checks()
    missing = [f"{part} {state}" for part, state in checks.items() if state != readiness.OK]
    response = JsonResponse({"ready": not missing, "checks": checks}, status=503 if missing else 200)
    if missing:  # said here, in place of Django's line for any 503, which does not tell what is missing
        log_response(
            "Not ready: %s", "; ".join(missing), response=response, request=request, logger=logger, level="warning"
        )
    return response


@extend_schema(exclude=True)
class Index(APIView):
    """ChatSphere's API: start here to browse it."""

    permission_classes = [AllowAny]

    def get(self, request: Request, *_: Any, **__: Any) -> Response:
        names = ("bots", "conversations", "credits", "me", "docs", "schema")
        return Response({name: reverse(name, request=request) for name in names})
