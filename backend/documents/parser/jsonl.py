"""JSON lines: each line a record, told by its number."""

from collections.abc import Iterator

from backend.documents.parser.json import flat, value_of
from backend.documents.parser.reading import ParsedPage, Reading, Refused, Unreadable, collected, parts
from backend.documents.parser.text import decode

_PAGE_CHARS = 8_000
_MAX_LINES = 1_000_000
_MAX_REFUSED = 20  # told one by one; the others are counted


def read(data: bytes) -> Reading:
    lines = decode(data).split("\n")
    if len(lines) > _MAX_LINES:
        raise Unreadable("text_too_long")
    return collected(_pages(lines, most=max(_PAGE_CHARS, sum(map(len, lines)) // 500)))


def _pages(lines: list[str], *, most: int) -> Iterator[ParsedPage | Refused]:
    """Some records on each page, of about `most` characters together. A broken line does not cost the others, unless
    all are."""
    records: list[str] = []
    first = chars = good = bad = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = _record(line)
        except Unreadable as exc:
            if exc.code != "corrupt_file":
                raise
            bad += 1
            if bad <= _MAX_REFUSED:
                yield Refused(f"Line {number}", "It is no JSON.")
            continue
        good += 1
        first = first if records else number
        records.append(f"Line {number}\n{record}")
        chars += len(records[-1])
        if chars >= most:
            yield from _page(first, number, records)
            records, chars = [], 0
        last = number
    if not good:
        raise Unreadable("corrupt_file")
    if records:
        yield from _page(first, last, records)
    if bad > _MAX_REFUSED:
        yield Refused(f"{bad - _MAX_REFUSED:,} more lines", "They are no JSON.")


def _record(line: str) -> str:
    return "\n".join(text for _, text in flat(value_of(line)) if text)


def _page(first: int, last: int, records: list[str]) -> Iterator[ParsedPage]:
    return parts(f"Lines {first}-{last}" if last > first else f"Line {first}", "\n\n".join(records))
