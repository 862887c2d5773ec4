"""The pages that belong to no app: the greeting, health, and the index of the API."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from backend.config import readiness


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    response = render(request, "home.html")
    response["Content-Security-Policy"] = "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
    return response


@require_safe
def health(_request: HttpRequest) -> JsonResponse:
    """The process runs; says nothing of what it depends on."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """503 until every part is in order; names what is not."""
    checks = readiness.checks()
    ready = all(state == readiness.OK for state in checks.values())
    return JsonResponse({"ready": ready, "checks": checks}, status=200 if ready else 503)


@extend_schema(exclude=True)
class Index(APIView):
    """ChatSphere's API: start here to browse it."""

    permission_classes = [AllowAny]

    def get(self, request: Request, *_: Any, **__: Any) -> Response:
        names = ("bots", "conversations", "credits", "me", "docs", "schema")
        return Response({name: reverse(name, request=request) for name in names})
