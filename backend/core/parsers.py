import re
from http import HTTPStatus
from io import SEEK_END
from typing import Any, ClassVar

from rest_framework import parsers
from rest_framework.exceptions import ParseError

from backend.core.errors import ChatSphereError

_SURROGATE = re.compile("[\ud800-\udfff]")


class JSONTooLarge(ChatSphereError):
    """The request is larger than this address takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_large"


class StrictJSONParser(parsers.JSONParser):
    """JSON whose every string can be stored: no NUL, no lone surrogate, in names and values, up to MAX_DEPTH deep.

    Of MAX_BYTES at most, or of as many as the view's `json_limit_bytes` says.
    """

    MAX_DEPTH: ClassVar[int] = 32
    MAX_BYTES: ClassVar[int] = 2 * 1024 * 1024

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        limit = getattr((parser_context or {}).get("view"), "json_limit_bytes", self.MAX_BYTES)
        if stream.seek(0, SEEK_END) > limit:
            raise JSONTooLarge(details={"limit_bytes": limit})
        stream.seek(0)
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError as exc:
            raise ParseError("JSON is nested too deeply.") from exc
        self._check(data, self.MAX_DEPTH)
        return data

    def _check(self, value: Any, depth: int) -> None:
        if depth < 0:
            raise ParseError("JSON is nested too deeply.")
        if isinstance(value, str):
            if "\x00" in value or (not value.isascii() and _SURROGATE.search(value)):  # an image is 7 MB of ASCII
                raise ParseError("Text may hold neither NUL nor a lone surrogate.")
        elif isinstance(value, dict):
            for name, item in value.items():
                self._check(name, 0)
                self._check(item, depth - 1)
        elif isinstance(value, list):
            for item in value:
                self._check(item, depth - 1)
