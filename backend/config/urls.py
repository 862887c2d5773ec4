"""Everything the web process answers, on one page."""

from django.contrib import admin
from django.urls import include, path, register_converter
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from backend.config import pages
from backend.core.converters import PositiveConverter
from backend.users.urls import page_urlpatterns

register_converter(PositiveConverter, "positive")

urlpatterns = [
    path("", pages.home, name="home"),
    path("", include(page_urlpatterns)),
    path("health", pages.health, name="health"),
    path("readyz", pages.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("api/browse/", include("rest_framework.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(), name="docs"),
    path("api/v1/", pages.Index.as_view(), name="index"),
    path("api/v1/", include("backend.users.urls")),
    path("api/v1/", include("backend.webhooks.urls")),
    path("api/v1/", include("backend.credits.urls")),
    path("api/v1/", include("backend.bots.urls")),
    path("api/v1/", include("backend.documents.urls")),
    path("api/v1/", include("backend.sources.urls")),
    path("api/v1/", include("backend.curated.urls")),
    path("api/v1/", include("backend.conversations.urls")),
]

handler400 = "backend.core.api.bad_request"
handler403 = "backend.core.api.permission_denied"
handler404 = "backend.core.api.not_found"
handler500 = "backend.core.api.server_error"
