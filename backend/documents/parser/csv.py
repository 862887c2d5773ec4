"""CSV: rows under the names of their columns. What begins with `=` is text like any other."""

import csv
import io
from collections.abc import Iterator

from backend.documents.parser.reading import Reading, Refused, Unreadable, collected
from backend.documents.parser.tables import MAX_CELLS, MAX_COLUMNS, Budget, Sheet, pages
from backend.documents.parser.text import decode

_MAX_FIELD_CHARS = 1_000_000
_DELIMITERS = ",;\t|"
_SAMPLE_LINES = 20


def read(data: bytes) -> Reading:
    text = decode(data)
    sheet = Sheet("", Budget())
    refused = list(_rows_into(sheet, text))
    return collected([*pages([sheet]), *refused])


def _rows_into(sheet: Sheet, text: str) -> Iterator[Refused]:
    csv.field_size_limit(_MAX_FIELD_CHARS)
    lines = io.StringIO(text, newline="")
    try:
        for number, fields in enumerate(csv.reader(lines, delimiter=_delimiter(text)), 1):
            if not sheet.add(number, {column: field for column, field in enumerate(fields) if field.strip()}):
                yield Refused(f"From row {number} on", f"More than {MAX_CELLS:,} filled cells cannot be read.")
                break
    except csv.Error as exc:
        raise Unreadable("corrupt_file") from exc
    if sheet.wide:
        yield Refused("Columns", f"Only the first {MAX_COLUMNS} columns were read.")


def _delimiter(text: str) -> str:
    """The one that cuts most of the first lines into the same number of fields, more than one."""
    lines = [line for line in text[:100_000].split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES] if line.strip()]

    def agreement(delimiter: str) -> tuple[int, int]:
        counts = [line.count(delimiter) for line in lines]
        usual = max(set(counts), key=counts.count, default=0)
        return (counts.count(usual), usual) if usual else (0, 0)

    return max(_DELIMITERS, key=agreement)
