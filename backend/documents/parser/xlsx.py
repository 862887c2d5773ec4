"""Excel workbooks, straight from their XML, as a stream: an empty corner costs nothing, wherever it lies.

Formulas are never looked at; what a cell shows is what the program that saved the file put there.
"""

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta

from backend.documents.parser.archive import Archive
from backend.documents.parser.markup import Attributes, Enough, Handler, attribute, local, parse
from backend.documents.parser.office import Relation, main_part, relations
from backend.documents.parser.reading import MAX_TEXT_CHARS, Reading, Refused, Unreadable, collected
from backend.documents.parser.tables import MAX_CELLS, MAX_COLUMNS, Budget, Cells, Sheet, pages

_WORKBOOK = "xl/workbook.xml"
_MAX_ELEMENTS = 1_000_000  # rows and cells, most of them there and empty
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_MAX_NUMBER_CHARS = 40
_MAX_ROW_DIGITS = 7
_MAX_FORMAT_CHARS = 255
_NOT_IN_FORMAT = re.compile(r'"[^"]*"|\[[^\[\]]*\]|\\.')  # words, colours, languages
_ELAPSED = re.compile(r"\[[hms]+\]", re.IGNORECASE)
_DATE_FORMATS = {*range(14, 23), *range(27, 37), *range(50, 59)}
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet knows no time zones
_MACINTOSH_EPOCH = datetime(1904, 1, 1)  # noqa: DTZ001 - as above
_DAYS = 2_958_466  # up to the end of the year 9999
_LEAP_DAY = 60  # the 29th of February 1900, which Excel believes in


def read(data: bytes) -> Reading:
    archive = Archive(data)
    book = _Workbook()
    parse(archive.blocks(main_part(archive, _WORKBOOK)), book)
    parts = relations(archive, _WORKBOOK)
    cells = _Cells(_strings(archive, parts), _styles(archive, parts), book.epoch)
    sheets: list[Sheet] = []
    refused: list[Refused] = []
    budget = Budget()
    for name, relation, hidden in book.sheets:
        part = parts.get(relation)
        if hidden:
            refused.append(Refused(f"Sheet {name}", "It is hidden in the workbook."))
        elif part is None or part.kind != "worksheet":
            refused.append(Refused(f"Sheet {name}", "It has no cells to read."))
        else:
            sheets.append(Sheet(name, budget))
            refused += _fill(sheets[-1], cells, archive, part.target)
    return collected([*pages(sheets), *refused])


def _fill(sheet: Sheet, cells: "_Cells", archive: Archive, part: str) -> Iterator[Refused]:
    reader = _Rows(sheet, cells)
    parse(archive.blocks(part), reader)
    name = f"Sheet {sheet.name}"
    if reader.stopped_at:
        yield Refused(f"{name}, from row {reader.stopped_at} on", f"More than {MAX_CELLS:,} cells cannot be read.")
    if sheet.wide:
        yield Refused(f"{name}, columns", f"Only the first {MAX_COLUMNS} columns were read.")
    if reader.unknown:
        reason = f"{reader.unknown:,} without a stored result. Open and save the file in a spreadsheet program."
        yield Refused(f"{name}, formulas", reason)


class _Workbook(Handler):
    """The sheets in their order: name, id of their relation, whether hidden."""

    def __init__(self) -> None:
        self.sheets: list[tuple[str, str, bool]] = []
        self.epoch = _EPOCH

    def start(self, name: str, attributes: Attributes) -> None:
        element = local(name)
        if element == "sheet":
            hidden = attributes.get("state", "visible") != "visible"
            self.sheets.append((attributes.get("name", ""), attribute(attributes, "id"), hidden))
        elif element == "workbookPr" and attributes.get("date1904") in ("1", "true"):
            self.epoch = _MACINTOSH_EPOCH


def _strings(archive: Archive, parts: dict[str, Relation]) -> list[str]:
    reader = _Strings()
    for part in parts.values():
        if part.kind == "sharedStrings":
            parse(archive.blocks(part.target), reader)
    return reader.found


class _Strings(Handler):
    """Texts that cells share, without the reading aids that East Asian ones carry."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._pieces: list[str] = []
        self._aids = 0
        self._in_text = False
        self._left = MAX_TEXT_CHARS

    def start(self, name: str, _: Attributes) -> None:
        element = local(name)
        self._aids += element == "rPh"
        self._in_text = element == "t" and not self._aids

    def end(self, name: str) -> None:
        element = local(name)
        self._in_text = False
        if element == "rPh":
            self._aids -= 1
        elif element == "si":
            self.found.append("".join(self._pieces))
            self._pieces = []

    def characters(self, data: str) -> None:
        if self._in_text:
            self._left -= len(data)
            if self._left < 0:
                raise Unreadable("text_too_long")
            self._pieces.append(data)


def _styles(archive: Archive, parts: dict[str, Relation]) -> list[bool]:
    reader = _Styles()
    for part in parts.values():
        if part.kind == "styles":
            parse(archive.blocks(part.target), reader)
    return reader.dates


class _Styles(Handler):
    """Of each cell style, whether it shows numbers as dates."""

    def __init__(self) -> None:
        self.dates: list[bool] = []
        self._formats = dict.fromkeys(map(str, _DATE_FORMATS), True)
        self._in_cells = False

    def start(self, name: str, attributes: Attributes) -> None:
        element = local(name)
        if element == "numFmt":
            self._formats[attributes.get("numFmtId", "")] = _of_date(attributes.get("formatCode", ""))
        elif element == "cellXfs":
            self._in_cells = True
        elif element == "xf" and self._in_cells:
            self.dates.append(self._formats.get(attributes.get("numFmtId", ""), False))

    def end(self, name: str) -> None:
        if local(name) == "cellXfs":
            self._in_cells = False


def _of_date(code: str) -> bool:
    code = code[:_MAX_FORMAT_CHARS]
    signs = _NOT_IN_FORMAT.sub("", code).lower()
    return not _ELAPSED.search(code) and "general" not in signs and any(sign in signs for sign in "ymdhs")


class _Cells:
    """What a stored value looks like to a reader of the sheet."""

    def __init__(self, strings: list[str], dates: list[bool], epoch: datetime) -> None:
        self._strings = strings
        self._dates = dates
        self._epoch = epoch

    def text(self, value: str, kind: str, style: str) -> str:
        if kind == "s":
            return self._strings[int(value)] if _index(value, self._strings) else ""
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        if kind in ("str", "inlineStr", "e", "d") or len(value) > _MAX_NUMBER_CHARS:
            return value
        if _index(style, self._dates) and self._dates[int(style)]:
            return self._dated(value)
        return _plain(value)

    def _dated(self, value: str) -> str:
        try:
            serial = float(value)
        except ValueError:
            return value
        if not 0 <= serial < _DAYS:
            return _plain(value)
        seconds = timedelta(seconds=round(serial * 86_400))
        if serial < 1:
            return str((self._epoch + seconds).time())
        late = serial < _LEAP_DAY and self._epoch == _EPOCH
        moment = self._epoch + seconds + timedelta(days=late)
        return str(moment) if moment.time() != time.min else str(moment.date())


def _index(number: str, places: list[str] | list[bool]) -> bool:
    return number.isascii() and number.isdigit() and len(number) < _MAX_NUMBER_CHARS and int(number) < len(places)


def _plain(value: str) -> str:
    """A number as the program shows it: fifteen digits, although more are stored."""
    try:
        return format(float(value), ".15g") if "." in value or "e" in value.lower() else value
    except ValueError:
        return value


class _Rows(Handler):
    """Takes a sheet's cells, wherever they say that they are; those that do not say it follow each other."""

    def __init__(self, sheet: Sheet, cells: _Cells) -> None:
        self.stopped_at = 0
        self.unknown = 0
        self._sheet = sheet
        self._show = cells.text
        self._row = 0
        self._column = -1
        self._cells: Cells = {}
        self._left = _MAX_ELEMENTS
        self._kind = self._style = ""
        self._value: list[str] = []
        self._in_value = False
        self._formula = False

    def start(self, name: str, attributes: Attributes) -> None:
        element = local(name)
        if element == "c":
            self._start_cell(attributes)
        elif element in ("v", "t"):
            self._in_value = True
        elif element == "f":
            self._formula = True
        elif element == "row":
            number = attributes.get("r", "")
            self._count()
            self._row = int(number) if number.isdecimal() and len(number) <= _MAX_ROW_DIGITS else self._row + 1
            self._column = -1

    def _start_cell(self, attributes: Attributes) -> None:
        self._count()
        found = _REFERENCE.fullmatch(attributes.get("r", ""))
        self._column = _column(found.group(1)) if found else self._column + 1
        self._kind = attributes.get("t", "")
        self._style = attributes.get("s", "0")
        self._value = []
        self._formula = False

    def characters(self, data: str) -> None:
        if self._in_value:
            self._value.append(data)

    def end(self, name: str) -> None:
        element = local(name)
        if element in ("v", "t"):
            self._in_value = False
        elif element == "c":
            self._end_cell()
        elif element == "row":
            if not self._sheet.add(self._row, dict(sorted(self._cells.items()))):
                self._stop()
            self._cells = {}

    def _end_cell(self) -> None:
        text = self._show("".join(self._value), self._kind, self._style) if self._value else ""
        if text.strip():
            self._cells[self._column] = text
        elif self._formula and not self._value:
            self.unknown += 1

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            self._stop()

    def _stop(self) -> None:
        self.stopped_at = self._row
        raise Enough


def _column(letters: str) -> int:
    column = 0
    for letter in letters:
        column = 26 * column + ord(letter) - ord("A") + 1
    return column - 1
