"""Which pages' scripts may talk to this server. A page that has rebound its name to this address comes with its own
origin, and with a Host that ALLOWED_HOSTS does not have."""

from django.conf import settings
from django.http import HttpRequest

from backend.mcp_server.errors import OriginRefused


def check_origin(request: HttpRequest) -> None:
    """Programs send none. Raises OriginRefused."""
    origin = request.headers.get("Origin")
    if origin is None:
        return
    own = f"{request.scheme}://{request.get_host()}"
    if origin not in (own, settings.SITE_URL.rstrip("/"), *settings.CORS_ALLOWED_ORIGINS):
        raise OriginRefused
