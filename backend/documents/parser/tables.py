"""Sheets of rows and columns as text: Markdown tables that tell their columns' names and each row's number on every
page, so that whatever is quoted can be found again."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from backend.documents.parser.reading import MAX_TEXT_CHARS, ParsedPage, Unreadable, shown

MAX_CELLS = 200_000
MAX_COLUMNS = 500
_PAGE_ROWS = 40
_PAGE_CHARS = 6_000
_PAGES = 1_000  # a long sheet gets longer pages, and not more of them than this
_HEADER_WITHIN = 20  # rows; above it stand titles and notes
_NAME_CHARS = 100
_SPARSE = 4  # from so many places per filled cell on, a table is mostly empty

Cells = dict[int, str]  # by column, from 0; filled ones only


class Row(NamedTuple):
    """`number` as a spreadsheet program shows it, from 1."""

    number: int
    cells: Cells


class Sheet:
    """Rows as they come; those beyond the limits are counted and left out."""

    def __init__(self, name: str, budget: "Budget") -> None:
        self.name = shown(name, _NAME_CHARS)
        self.rows: list[Row] = []
        self.wide = False
        self._budget = budget

    def add(self, number: int, cells: Cells) -> bool:
        """False where no more rows can be taken."""
        kept = {column: text for column, text in cells.items() if column < MAX_COLUMNS}
        self.wide = self.wide or len(kept) < len(cells)
        if not self._budget.take(kept):
            return False
        if kept:
            self.rows.append(Row(number, kept))
        return True


class Budget:
    """What all sheets of a file may hold together. Raises Unreadable where their text grows beyond all measure."""

    def __init__(self) -> None:
        self._cells = MAX_CELLS
        self._chars = MAX_TEXT_CHARS

    def take(self, cells: Cells) -> bool:
        self._cells -= len(cells)
        self._chars -= sum(map(len, cells.values()))
        if self._chars < 0:
            raise Unreadable("text_too_long")
        return self._cells >= 0


def pages(sheets: Sequence[Sheet]) -> Iterator[ParsedPage]:
    """The sheets' rows in order, some on each page."""
    rows = max(_PAGE_ROWS, sum(len(sheet.rows) for sheet in sheets) // _PAGES)
    chars = max(_PAGE_CHARS, sum(_chars(sheet) for sheet in sheets) // _PAGES)
    for sheet in sheets:
        if sheet.rows:
            yield from _of_sheet(sheet, rows, chars)


def _chars(sheet: Sheet) -> int:
    return sum(len(text) for row in sheet.rows for text in row.cells.values())


def _of_sheet(sheet: Sheet, most_rows: int, most_chars: int) -> Iterator[ParsedPage]:
    table = _Table(sheet.rows)
    lines: list[str] = []
    numbers: list[int] = []
    chars = 0
    for row in sheet.rows:
        if row is not table.header:
            line = table.line(row)
            lines.append(line)
            chars += len(line)
        numbers.append(row.number)
        if len(lines) >= most_rows or chars >= most_chars:
            yield _page(sheet, table, numbers, lines)
            lines, numbers, chars = [], [], 0
    if numbers:
        yield _page(sheet, table, numbers, lines)


def _page(sheet: Sheet, table: "_Table", numbers: list[int], lines: list[str]) -> ParsedPage:
    place = f"rows {numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else f"row {numbers[0]}"
    label = f"Sheet {sheet.name}, {place}" if sheet.name else place.capitalize()
    above = [f"# {sheet.name}", ""] if sheet.name else []
    split = sum(1 for number in numbers if number < table.begins)  # titles and notes, all on the first page
    titles = [*lines[:split], ""] if split and lines[:split] else []
    return ParsedPage(label, "\n".join([*above, *titles, *table.head, *lines[split:]]))


class _Table:
    """How the rows of one sheet are written: with `head` before those of each page, which starts at row `begins`."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._columns = sorted({column for row in rows for column in row.cells})
        self.header = _header(rows)
        names = self.header.cells if self.header else {}
        self._names = {column: _text(names.get(column, "")) or _letters(column) for column in self._columns}
        self.begins = self.header.number if self.header else 0
        filled = sum(len(row.cells) for row in rows)
        self._sparse = len(rows) * len(self._columns) > _SPARSE * (filled + _HEADER_WITHIN * MAX_COLUMNS)
        self.head: list[str] = []
        if not self._sparse:
            titles = " | ".join(self._names[column] for column in self._columns)
            self.head = [f"| Row | {titles} |", "|" + " --- |" * (len(self._columns) + 1)]

    def line(self, row: Row) -> str:
        if row.number < self.begins:
            return f"Row {row.number}: " + "; ".join(_text(text) for text in row.cells.values())
        if self._sparse:
            named = (f"{self._names[column]}: {_text(text)}" for column, text in row.cells.items())
            return f"Row {row.number}: " + "; ".join(named)
        cells = (_text(row.cells.get(column, "")) for column in self._columns)
        return f"| {row.number} | " + " | ".join(cells) + " |"


def _header(rows: Sequence[Row]) -> Row | None:
    """The row that names the columns: the first that fills half of them, unless it is numbers only."""
    first = list(islice(rows, _HEADER_WITHIN))
    widest = max(len(row.cells) for row in first)
    header = next(row for row in first if 2 * len(row.cells) >= widest)
    return None if all(_number(text) for text in header.cells.values()) else header


def _number(text: str) -> bool:
    return not text.strip("0123456789.,+-% ")


def _text(cell: str) -> str:
    return " ".join(cell.split())


def _letters(column: int) -> str:
    """The column's name in a spreadsheet program: A, B, … Z, AA, …"""
    letters = ""
    column += 1
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters
