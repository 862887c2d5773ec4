from http import HTTPStatus

from django.http import HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware


class _Elsewhere(HttpResponsePermanentRedirect):
    status_code = HTTPStatus.PERMANENT_REDIRECT


class SlashMiddleware(CommonMiddleware):
    """An address without its slash leads to the one with it, by 308: after Django's 301 a client asks by GET, without
    its body, and whoever creates something is shown a list."""

    response_redirect_class = _Elsewhere
