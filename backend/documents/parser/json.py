"""JSON as lines of "path: value", so that each line says where it stands. Numbers stay as they were written."""

import json
from collections.abc import Iterator
from typing import Any

from backend.documents.parser.reading import MAX_TEXT_CHARS, ParsedPage, Reading, Unreadable, collected, parts
from backend.documents.parser.text import decode

_PAGE_CHARS = 8_000
_KEY_CHARS = 80
_PATH_CHARS = 300
_LABEL_CHARS = 90
_STEP = 50  # what a value counts for beside its text: a million of them are too many


def read(data: bytes) -> Reading:
    return collected(_pages(value_of(decode(data))))


def value_of(text: str) -> Any:
    """Raises Unreadable. Numbers come as strings: whoever quotes 1.10 has not written 1.1, and a number of a million
    digits is text like any other."""
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as exc:
        raise Unreadable("corrupt_file") from exc


def flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """`(path, line)` of each scalar in order, and `(path, "")` before each object in a list, which is a record."""
    left = MAX_TEXT_CHARS
    waiting = [iter([(path, value)])]
    while waiting:
        step = next(waiting[-1], None)
        if step is None:
            waiting.pop()
            continue
        here, found = step
        left -= _STEP + (len(found) if isinstance(found, str) else 0)
        if left < 0:
            raise Unreadable("text_too_long")
        if isinstance(found, dict):
            if here.endswith("]"):
                yield here, ""
            waiting.append(_members(here, found))
        elif isinstance(found, list):
            waiting.append(_elements(here, found))
        else:
            yield here, f"{here or 'value'}: {_scalar(found)}"


def _members(path: str, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in found.items():
        name = key if len(key) <= _KEY_CHARS else key[:_KEY_CHARS] + "…"
        yield _shortened(f"{path}.{name}" if path else name), value


def _elements(path: str, found: list[Any]) -> Iterator[tuple[str, Any]]:
    for index, value in enumerate(found):
        yield _shortened(f"{path}[{index}]"), value


def _shortened(path: str) -> str:
    """The end of a path tells more than its beginning."""
    return path if len(path) <= _PATH_CHARS else "…" + path[-_PATH_CHARS:]


def _scalar(value: str | bool | None) -> str:
    if isinstance(value, str):
        return value
    return {None: "null", True: "true", False: "false"}[value]


def _pages(value: Any) -> Iterator[ParsedPage]:
    """Pages end between records where they can, and are told by their first and last path."""
    lines: list[str] = []
    first = last = ""
    chars = 0
    for path, line in flat(value):
        if chars >= (_PAGE_CHARS if line else _PAGE_CHARS // 2):
            yield from _page(first, last, lines)
            lines, chars = [], 0
        if not lines:
            first = path
        if line:
            last = path
        lines.append(line)
        chars += len(line) + 1
    if any(lines):
        yield from _page(first, last, lines)


def _page(first: str, last: str, lines: list[str]) -> Iterator[ParsedPage]:
    names = [name if len(name) <= _LABEL_CHARS else "…" + name[-_LABEL_CHARS:] for name in (first, last)]
    label = names[0] if names[0] == names[1] else f"{names[0]} to {names[1]}"
    return parts(label or "Value", "\n".join(lines).strip())
