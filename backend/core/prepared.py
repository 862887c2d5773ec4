"""Statements that PostgreSQL parses and plans once for each connection, and querysets that Django compiles once.

For the few that every question needs. A queryset costs Django one to three milliseconds to turn into SQL, and the
server half a millisecond and more to plan, because Django writes the values into the text: it is a new one each time.
"""

import time
from collections.abc import Callable, Iterator, Sequence
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


def insert(*instances: models.Model, **expressions: tuple[str, Any]) -> None:
    """Store new instances, of one model or several, in one statement: together or not at all.

    A column that the database has a default for is left to it where nothing was given, and read back. `expressions`
    stand in the place of the fields of their names, in whichever instance has one: SQL around one `%s`, and its value.
    """
    parts, values, left = [], [], []
    for number, instance in enumerate(instances):
        text, given, defaults = _insertion(instance, expressions)
        parts.append(f"part{number} AS ({text})")
        values += given
        left += [(instance, field, f'part{number}."{field.column}"') for field in defaults]
    shown = ", ".join(name for _, _, name in left) or "1"
    tables = sorted({name.partition(".")[0] for _, _, name in left})
    found: Row = ()
    if parts:
        source = f" FROM {', '.join(tables)}" if tables else ""
        (found,) = rows(f"WITH {', '.join(parts)} SELECT {shown}{source}", values)
    for (instance, field, _), value in zip(left, found, strict=False):
        setattr(instance, field.attname, value)
    for instance in instances:
        instance._state.adding, instance._state.db = False, "default"  # noqa: SLF001 - as `save` leaves it


def _insertion(
    instance: models.Model, expressions: dict[str, tuple[str, Any]]
) -> tuple[str, list[Any], list["models.Field[Any, Any]"]]:
    places, values, columns, defaults = [], [], [], []
    meta = instance._meta  # noqa: SLF001 - the name of a public interface
    for field in meta.local_concrete_fields:
        value = getattr(instance, field.attname)
        if isinstance(value, DatabaseDefault) or (field.primary_key and value is None):
            defaults.append(field)
            continue
        sql, value = expressions.get(field.name) or ("%s", field.get_db_prep_save(value, connection))
        columns.append(f'"{field.column}"')
        places.append(sql)
        values.append(value)
    text = f'INSERT INTO "{meta.db_table}" ({", ".join(columns)}) VALUES ({", ".join(places)})'  # noqa: S608 - our models' names
    if defaults:
        returned = [f'"{field.column}"' for field in defaults]
        text += f" RETURNING {', '.join(returned)}"
    return text, values, defaults


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
