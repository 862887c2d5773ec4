from typing import Any, ClassVar

from rest_framework import parsers
from rest_framework.exceptions import ParseError


class StrictJSONParser(parsers.JSONParser):
    """JSON whose every string can be stored: no NUL, no lone surrogate, in names and values, up to MAX_DEPTH deep."""

    MAX_DEPTH: ClassVar[int] = 32

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
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
            if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
                raise ParseError("Text may hold neither NUL nor a lone surrogate.")
        elif isinstance(value, dict):
            for name, item in value.items():
                self._check(name, 0)
                self._check(item, depth - 1)
        elif isinstance(value, list):
            for item in value:
                self._check(item, depth - 1)
