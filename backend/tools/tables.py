"""Tables out of a bot's own spreadsheets, as their pages tell them, and questions about them in SQL.

The questions are answered by a throw-away child process over a database in memory: never the product's own, and with
nothing in it but what the bot's owner has given to the bot.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db.models import F

from backend.bots.models import Bot
from backend.documents.models import Page, State
from backend.tools.errors import ToolFailed

CHILD = Path(__file__).with_name("table_child.py")
SECONDS = 6.0
MAX_PAGES = 400
MAX_CELLS = 200_000
MAX_TABLES = 30
MAX_SQL_CHARS = 4_000
LISTED_COLUMNS = 40

_ROW = re.compile(r"^\| (?P<cells>.*) \|$")
_RULE = re.compile(r"^\|(?: --- \|)+$")
_SHEET = re.compile(r"^Sheet (?P<name>.*), rows? \d+(?:-\d+)?$")
LONGEST_NUMBER = 17
_CODE = re.compile(r"[+-]?0\d+")
"""A leading zero makes it the number of a place, a part or a person, which is a text."""
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")


class SqlRefused(ToolFailed):
    """The statement could not be answered: only reading from the tables that are listed is possible."""

    code = "sql_refused"


@dataclass(slots=True)
class Table:
    name: str
    title: str
    columns: list[str]
    rows: list[list[str | float | int | None]] = field(default_factory=list)

    def told(self) -> str:
        columns = ", ".join(f'"{name}"' for name in self.columns[:LISTED_COLUMNS])
        return f'"{self.name}" ({len(self.rows)} rows, from {self.title}): {columns}'


def tables_of(bot: Bot) -> list[Table]:
    """Of the documents that answers are made from now. A row whose cells cannot be told apart is left out."""
    pages = (
        Page.objects.filter(version__document__bot=bot, version__document__version=F("version"))
        .filter(version__document__enabled=True, version__document__bot__deleted_at=None)
        .exclude(version__document__state=State.DELETING)
        .filter(text__contains="| Row | ")
        .order_by("version__document_id", "number")
        .values_list("version__document__title", "version__document_id", "label", "text")[:MAX_PAGES]
    )
    tables: dict[tuple[Any, str, tuple[str, ...]], Table] = {}
    cells = 0
    for title, document, label, text in pages:
        sheet = (match["name"] if (match := _SHEET.match(label)) else "").strip()
        columns, rows = _read(text)
        if not columns:
            continue
        key = (document, sheet, tuple(columns))
        if key not in tables:
            if len(tables) >= MAX_TABLES:
                break
            name = _named(f"{title} {sheet}", {table.name for table in tables.values()})
            tables[key] = Table(name, f"{title}, {sheet}" if sheet else title, columns)
        for row in rows:
            cells += len(row)
            if cells > MAX_CELLS:
                return list(tables.values())
            tables[key].rows.append(row)
    return list(tables.values())


def listed(tables: Sequence[Table]) -> str:
    return "\n".join(table.told() for table in tables) or "There are no tables in this bot's documents."


def query(tables: Sequence[Table], sql: str) -> str:
    """The rows as a Markdown table. Raises SqlRefused."""
    if len(sql) > MAX_SQL_CHARS:
        raise SqlRefused
    asked = {"tables": [{"name": one.name, "columns": one.columns, "rows": one.rows} for one in tables], "sql": sql}
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(CHILD)],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            env={},
            cwd="/",
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise SqlRefused("The statement took too long.") from exc
    if done.returncode or not done.stdout:
        raise SqlRefused("The statement took too much time or memory.")
    told = json.loads(done.stdout)
    if "error" in told:
        raise SqlRefused(f"{SqlRefused.__doc__} ({told['error']})")
    return _written(told)


def _read(text: str) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of a page; its first column is the row's number in the sheet."""
    lines = iter(text.splitlines())
    columns: list[str] = []
    for line in lines:
        if (match := _ROW.match(line)) and match["cells"].startswith("Row | "):
            columns = _distinct(match["cells"].split(" | "))
            break
    rows = []
    for line in lines:
        match = _ROW.match(line)
        if match is None or _RULE.match(line):
            continue
        cells = match["cells"].split(" | ")
        if len(cells) == len(columns):
            rows.append([_typed(cell) for cell in cells])
    return columns, rows


def _typed(cell: str) -> str | float | int | None:
    text = cell.strip()
    if not text:
        return None
    plain = text.replace(",", "") if _GROUPED.fullmatch(text) else text
    if not _NUMBER.fullmatch(plain) or len(plain) > LONGEST_NUMBER or _CODE.fullmatch(plain):
        return text
    return float(plain) if "." in plain else int(plain)


def _distinct(names: Iterable[str]) -> list[str]:
    return list(_numbered(names))


def _numbered(names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for given in names:
        name, count = given.strip()[:100] or "column", 2
        base = name
        while name.casefold() in seen:
            name, count = f"{base} {count}", count + 1
        seen.add(name.casefold())
        yield name


def _named(title: str, taken: set[str]) -> str:
    words = re.findall(r"\w+", title.rsplit(".", 1)[0] if "." in title and " " not in title else title)
    base = "_".join(words).casefold()[:50] or "table"
    name, count = base, 2
    while name in taken:
        name, count = f"{base}_{count}", count + 1
    return name


def _written(told: dict[str, Any]) -> str:
    head = [" | ".join(told["columns"])]
    rows = [" | ".join("" if cell is None else str(cell) for cell in row) for row in told["rows"]]
    more = ["(There are more rows; only these are shown.)"] if told["more"] else []
    return "\n".join([*head, *rows, *more]) if rows else "No rows."
