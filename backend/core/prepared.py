"""Statements that PostgreSQL parses and plans once for each connection, and querysets that Django compiles once.

For the few that every question needs. A queryset costs Django one to three milliseconds to turn into SQL, and the
server half a millisecond and more to plan, because Django writes the values into the text: it is a new one each time.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar
from uuid import UUID

import psycopg
from django.db import connection, connections, models
from django.db.models.expressions import DatabaseDefault
from django.db.models.lookups import Lookup
from django.db.models.query import ModelIterable, QuerySet, get_related_populators

from backend.core.ids import uuid7

Row = tuple[Any, ...]
T = TypeVar("T")


def rows(sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[Row]:
    """The rows of one statement, prepared by the server; raises Django's database errors.

    Values go beside the text and have no type there: where the server cannot tell it from the place, write `%s::uuid`.
    """
    database: Any = connections["default"]  # once: `connection` looks for this thread's with each of its attributes
    database.ensure_connection()
    database.validate_no_broken_transaction()
    started = time.monotonic()
    with database.wrap_database_errors:
        cursor = psycopg.Cursor(database.connection)
        cursor.execute(sql, parameters, prepare=True)
        found: list[Row] = cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []
    if database.queries_logged:
        database.queries_log.append({"sql": sql, "time": f"{time.monotonic() - started:.3f}"})
    return found


@dataclass(frozen=True, slots=True)
class Along:
    """What one statement stores together with a first row, which it names `given`, and only where there is one.

    `statements` ask for `given` themselves. `rows` are new instances: a column that the database has a default for is
    left to it where nothing was given, and read back; `expressions` stand in the place of the fields of their names, in
    whichever instance has one: SQL around one `%s`, and its value. Where there is a query `provided`, the first row may
    ask for what it finds. No name of `values` is one of the first row's.
    """

    rows: Sequence[models.Model] = ()
    statements: Sequence[str] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    expressions: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    provided: str = ""


def given(sql: str, values: Mapping[str, Any], along: Along) -> Row | None:
    """The row that `sql` writes and returns, and `along` with it: all of it or nothing. None where it wrote none."""
    inserted = _Inserted(along)
    provided = [f"provided AS ({along.provided})"] if along.provided else []
    also = [f"also{number} AS ({statement})" for number, statement in enumerate(along.statements)]
    parts = [*provided, f"given AS ({sql})", *also, *inserted.parts]
    shown, tables = ", ".join([*inserted.shown, "given.*"]), ", ".join(["given", *inserted.tables])
    text = f"WITH {', '.join(parts)} SELECT {shown} FROM {tables}"  # noqa: S608 - of this program's own parts
    found = rows(text, {**inserted.values, **along.values, **values})
    if not found:
        return None
    inserted.take(found[0])
    return found[0][len(inserted.shown) :]


class _Inserted:
    """New instances as parts of a statement."""

    def __init__(self, along: Along) -> None:
        self.parts: list[str] = []
        self.values: dict[str, Any] = {}
        self.shown: list[str] = []
        self.tables: list[str] = []
        self._along = along
        self._left: list[tuple[models.Model, str]] = []
        for number, instance in enumerate(along.rows):
            self._add(f"part{number}", instance)

    def take(self, row: Row) -> None:
        """What the database has set by itself; `row` begins with what is `shown`."""
        for (instance, name), value in zip(self._left, row, strict=False):
            setattr(instance, name, value)
        for instance in self._along.rows:
            instance._state.adding, instance._state.db = False, "default"  # noqa: SLF001 - as `save` leaves it

    def _add(self, part: str, instance: models.Model) -> None:
        places, columns, defaults = [], [], []
        meta = instance._meta  # noqa: SLF001 - the name of a public interface
        for column in meta.local_concrete_fields:
            value = getattr(instance, column.attname)
            if isinstance(value, DatabaseDefault) or (column.primary_key and value is None):
                defaults.append(column)
                continue
            sql, value = self._along.expressions.get(column.name) or ("%s", column.get_db_prep_save(value, connection))
            name = f"{part}_{column.column}"
            columns.append(f'"{column.column}"')
            places.append(sql.replace("%s", f"%({name})s"))
            self.values[name] = value
        source = f"SELECT {', '.join(places)} FROM given"  # noqa: S608 - places of parameters
        text = f'INSERT INTO "{meta.db_table}" ({", ".join(columns)}) {source}'
        if defaults:
            returned = [f'"{column.column}"' for column in defaults]
            text += f" RETURNING {', '.join(returned)}"
            self.tables.append(part)
        self.parts.append(f"{part} AS ({text})")
        self.shown += [f'{part}."{column.column}"' for column in defaults]
        self._left += [(instance, column.attname) for column in defaults]


@models.UUIDField.register_lookup
class Among(Lookup):
    """`__in` as one parameter, so that the text of the statement is the same for any number of values."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        left, parameters = self.process_lhs(compiler, connection)
        return f"{left} = ANY(%s::uuid[])", [*parameters, self.rhs]


class Query(Generic[T]):
    """What `make` gives for any values of its parameters: it is called once, with stand-ins of these `kinds`.

    `make` takes keyword arguments of the kinds UUID, str, int or list (of UUIDs, for `__among`), uses each, and may
    not look at them. Of models and of `values_list`; `prefetch_related` is not followed.
    """

    def __init__(self, make: Callable[..., Any], **kinds: type) -> None:
        self._make = make
        self._kinds = kinds

    def all(self, **values: Any) -> list[T]:
        return list(self._results(values))

    def first(self, **values: Any) -> T | None:
        return next(self._results(values), None)

    def _results(self, values: dict[str, Any]) -> Iterator[T]:
        sql, places, read = self._compiled
        return read(rows(sql, [values[place.name] if isinstance(place, _Place) else place for place in places]))

    @cached_property
    def _compiled(self) -> tuple[str, list[Any], Callable[[list[Row]], Iterator[T]]]:
        stand_ins = {name: _STAND_INS[kind]() for name, kind in self._kinds.items()}
        queryset: QuerySet[Any] = self._make(**stand_ins)
        compiler = queryset.query.get_compiler("default")
        sql, parameters = compiler.as_sql()
        places = [_place_of(parameter, stand_ins) for parameter in parameters]
        missing = set(stand_ins) - {place.name for place in places if isinstance(place, _Place)}
        if missing:
            raise ValueError(f"the query does not use {', '.join(sorted(missing))}")
        return sql, places, _reader(queryset, compiler)


class _Place:
    """Where a value goes."""

    def __init__(self, name: str) -> None:
        self.name = name


_STAND_INS: dict[type, Callable[[], Any]] = {
    UUID: uuid7,
    str: lambda: f"a value to come {uuid7()}",
    int: lambda: uuid7().int % 2**62,
    list: lambda: [uuid7()],
}


def _place_of(parameter: Any, stand_ins: dict[str, Any]) -> Any:
    return next((_Place(name) for name, value in stand_ins.items() if _same(parameter, value)), parameter)


def _same(parameter: Any, value: Any) -> bool:
    return type(parameter) is type(value) and bool(parameter == value)


def _reader(queryset: QuerySet[Any], compiler: Any) -> Callable[[list[Row]], Iterator[Any]]:
    """As Django's own iterables read rows, with what they work out for each query worked out once."""
    converters = compiler.get_converters([expression for expression, *_ in compiler.select])

    def converted(found: list[Row]) -> Iterator[Sequence[Any]]:
        return iter(compiler.apply_converters(found, converters)) if converters else iter(found)

    if not issubclass(queryset._iterable_class, ModelIterable):  # noqa: SLF001 - of values_list
        return converted
    info = compiler.klass_info
    model, fields = info["model"], info["select_fields"]
    span = slice(fields[0], fields[-1] + 1)
    names = [expression.target.attname for expression, *_ in compiler.select[span]]
    related = get_related_populators(info, compiler.select, "default")  # type: ignore[call-arg]  # the stubs are ahead
    annotations = (compiler.annotation_col_map or {}).items()

    def instances(found: list[Row]) -> Iterator[Any]:
        for row in converted(found):
            instance = model.from_db("default", names, row[span])
            for populator in related:
                populator.populate(row, instance)
            for name, column in annotations:
                setattr(instance, name, row[column])
            yield instance

    return instances
