"""The child that answers one question about tables: SQLite in memory, reading only, with nothing else to reach.

Run as a script of its own, isolated, with an empty environment: tables and the statement come as JSON on standard
input, and one JSON object goes out. It imports nothing of ours and nothing of the product's.
"""

import json
import resource
import sqlite3
import sys

MEMORY_BYTES = 512 * 1024 * 1024
CPU_SECONDS = 3
MAX_STEPS = 5_000  # of a thousand instructions of SQLite's machine each
MAX_ROWS = 100
MAX_CELL_CHARS = 300
MAX_CHARS = 12_000

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_REFUSED_FUNCTIONS = {"load_extension", "readfile", "writefile", "edit", "randomblob", "zeroblob", "printf", "format"}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    asked = json.load(sys.stdin)
    try:
        sys.stdout.write(json.dumps(answer(asked["tables"], asked["sql"])))
    except (sqlite3.Error, sqlite3.Warning, MemoryError) as error:
        sys.stdout.write(json.dumps({"error": str(error)[:300]}))


def answer(tables: list[dict], sql: str) -> dict:  # type: ignore[type-arg]
    database = sqlite3.connect(":memory:", isolation_level=None)
    for table in tables:
        columns = ", ".join(_quoted(name) for name in table["columns"])
        database.execute(f"CREATE TABLE {_quoted(table['name'])} ({columns})")
        places = ", ".join("?" * len(table["columns"]))
        database.executemany(f"INSERT INTO {_quoted(table['name'])} VALUES ({places})", table["rows"])  # noqa: S608
    _lock(database)
    rows = database.execute(sql)
    names = [column[0] for column in rows.description or ()]
    found: list[list[object]] = []
    chars, more = 0, False
    for row in rows:
        cells = [_shown(cell) for cell in row]
        chars += sum(len(str(cell)) for cell in cells)
        if len(found) >= MAX_ROWS or chars > MAX_CHARS:
            more = True
            break
        found.append(cells)
    return {"columns": names, "rows": found, "more": more}


def _lock(database: sqlite3.Connection) -> None:
    """From here on nothing but reading, for so many steps."""
    for what, most in (
        (sqlite3.SQLITE_LIMIT_LENGTH, 10_000_000),
        (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 10_000),
        (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
        (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 100),
        (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 20),
        (sqlite3.SQLITE_LIMIT_VDBE_OP, 25_000),
        (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
    ):
        database.setlimit(what, most)
    steps = iter(range(MAX_STEPS))
    database.set_progress_handler(lambda: next(steps, None) is None, 1_000)
    database.set_authorizer(_allowed)


def _allowed(action: int, _first: str | None, second: str | None, _database: str | None, _trigger: str | None) -> int:
    if action not in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _REFUSED_FUNCTIONS):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _shown(cell: object) -> object:
    if isinstance(cell, bytes):
        return f"({len(cell)} bytes)"
    return cell[:MAX_CELL_CHARS] if isinstance(cell, str) else cell


if __name__ == "__main__":
    main()
