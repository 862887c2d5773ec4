"""DRF, which is synchronous, in front of work that is not: a view's response may be an `Awaited`.

DRF does what it does for every other view (authentication, permission, parsing, errors, negotiation) in one step in a
thread; what has to be awaited comes afterwards, on the event loop.
"""

import functools
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.core.deferred import Deferred
from backend.core.event_stream import as_json

Complete = Callable[["Awaited"], Awaitable[HttpResponseBase]]


class Awaited(Response):
    """`complete` is given this response, with the renderer that was agreed on, and gives the one that is sent."""

    def __init__(self, complete: Complete, *, status: int = HTTPStatus.OK) -> None:
        super().__init__(status=status)
        self._complete = complete

    async def completed(self) -> HttpResponseBase:
        return await self._complete(self)

    def rendered(self, data: Any, status: int | None = None) -> Response:
        """This response, with its body."""
        self.data = data
        self.status_code = status or self.status_code
        as_json(self).render()
        return self


class AwaitedView(APIView):
    """A DRF view whose responses may be `Awaited`."""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        drf = super().as_view(**initkwargs)

        @functools.wraps(drf)  # with what Django's CSRF check and the schema generator look for
        def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            response = drf(request, *args, **kwargs)
            return Deferred(response.completed) if isinstance(response, Awaited) else as_json(response)

        return view
