"""A ledger as CSV that a spreadsheet can open without running anything in it."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from backend.credits.models import Entry

COLUMNS = [
    "created_at", "seq", "kind", "amount", "available_delta", "reserved_delta", "spent_delta", "available_after",
    "reserved_after", "reference", "input_tokens", "output_tokens", "reason", "id",
]  # fmt: skip

# Spreadsheets take text that begins so for a formula; some fold the full-width forms to the ASCII ones first.
_FORMULA_STARTS = tuple("=+-@\t\r\n\0＝＋－＠")


def neutral(value: Any) -> Any:
    """Text that would be a formula gets an apostrophe in front; numbers are ours and stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def as_csv(entries: Iterable[Entry]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for entry in entries:
        cells = {name: getattr(entry, name) for name in COLUMNS} | {"created_at": entry.created_at.isoformat()}
        writer.writerow([neutral(cells[name]) for name in COLUMNS])
    return text.getvalue()
