"""Questions with their curated answers, as `documents.questions` writes them: one page a pair."""

import json
from collections.abc import Iterator

from backend.documents.parser.reading import ParsedPage, Reading, Unreadable
from backend.documents.questions import Pair


def read(data: bytes) -> Reading:
    try:
        pairs = [Pair(**fields) for fields in json.loads(data)["pairs"]]
    except (ValueError, LookupError, TypeError) as exc:
        raise Unreadable("corrupt_file") from exc
    return Reading(len(pairs), _pages(pairs))


def _pages(pairs: list[Pair]) -> Iterator[ParsedPage]:
    for pair in pairs:
        yield ParsedPage(pair.label, pair.text, link=pair.link)
