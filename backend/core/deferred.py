"""A response whose body is still to be made, asynchronously, after the synchronous part of the request is over."""

from collections.abc import Awaitable, Callable

from django.http import HttpResponse, HttpResponseBase

_OF_THE_BODY = {"content-type", "content-length"}


class Deferred(HttpResponse):
    """Passes through the middleware in the place of the response that `complete` gives later."""

    def __init__(self, complete: Callable[[], Awaitable[HttpResponseBase]]) -> None:
        super().__init__()
        self._complete = complete

    async def completed(self) -> HttpResponseBase:
        """The response, with the headers and cookies that the middleware gave to this one."""
        response = await self._complete()
        for name, value in self.items():
            if name.lower() not in _OF_THE_BODY:
                response.setdefault(name, value)
        response.cookies.update(self.cookies)
        response._resource_closers += self._resource_closers  # type: ignore[attr-defined]  # noqa: SLF001 - Django's own
        return response
