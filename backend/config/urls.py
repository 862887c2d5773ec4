"""Everything the web process answers, on one page."""

from django.contrib import admin
from django.urls import include, path, register_converter
from drf_spectacular.views import SpectacularSwaggerView

from backend.config import openapi, operating, pages
from backend.core.converters import PositiveConverter
from backend.users.urls import page_urlpatterns

register_converter(PositiveConverter, "positive")

urlpatterns = [
    path("", pages.home, name="home"),
    path("", include(page_urlpatterns)),
    path("favicon.ico", pages.favicon, name="favicon"),
    path("health", pages.health, name="health"),
    path("readyz", pages.readyz, name="readyz"),
    path("metrics", operating.metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("api/browse/", include("rest_framework.urls")),
    path("api/schema/", openapi.Schema.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(), name="docs"),
    path("api/v1/", pages.Index.as_view(), name="index"),
    path("api/v1/", include("backend.conversations.urls")),  # first: each that is tried before it costs every answer
    path("api/v1/", include("backend.users.urls")),
    path("api/v1/", include("backend.webhooks.urls")),
    path("api/v1/", include("backend.credits.urls")),
    path("api/v1/", include("backend.bots.urls")),
    path("api/v1/", include("backend.documents.urls")),
    path("api/v1/", include("backend.sources.urls")),
    path("api/v1/", include("backend.curated.urls")),
    path("api/v1/", include("backend.tools.urls")),
    path("api/v1/", include("backend.gateway.urls")),
    path("v1/", include("backend.openai_api.urls")),
    path("mcp/", include("backend.mcp_server.urls")),
    path("api/v1/", include("backend.feedback.urls")),
    path("api/v1/", include("backend.sharing.urls")),
]

handler400 = "backend.config.refusals.bad_request"
handler403 = "backend.config.refusals.permission_denied"
handler404 = "backend.config.refusals.not_found"
handler500 = "backend.config.refusals.server_error"
