"""DuckDB's relations: queries that run when their rows are needed, in the connection of the task."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.frames import arrow_values, batches, in_arrow
from dbxdec.io_managers.frames.connections import connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import polars as pl
    import pyarrow as pa

# Arrow has them as something else, or Polars does not have them: time zones and bits would be lost.
_LOST = frozenset({"interval", "bit", "time with time zone"})
# Arrow has them as Decimal(38, 0), whether a number has so few digits or not.
_HUGE = frozenset({"hugeint", "uhugeint"})
_TOO_BIG = re.compile(r"Could not cast value (-?\d+) to DECIMAL\(38,0\)")
_NESTED = frozenset({"list", "array", "struct", "map", "union"})


def relation(frame: pl.LazyFrame, parameter: str) -> duckdb.DuckDBPyRelation:
    """Return a relation of the rows of `frame`, whose query runs as often as DuckDB reads them.

    Raises RunError, naming them all, for columns of types that DuckDB does not have, or to which it gives other names.
    """
    schema = frame.collect_schema()
    if not schema:
        raise RunError(f"the parameter `{parameter}` has no column, but DuckDB has no tables without one")
    in_arrow.refuse_unknown(schema, parameter, "DuckDB", _has)
    found = connection().from_arrow(_Rows(frame)).set_alias(parameter)
    names = zip(schema.names(), found.columns, strict=True)
    if others := [f"{name!r} ({other!r})" for name, other in names if name != other]:
        raise RunError(
            f"the parameter `{parameter}` has columns to which DuckDB gives other names: {', '.join(others)}",
            hint="it does not tell upper and lower case apart: rename them where they are written, or annotate a "
            "pl.LazyFrame",
        )
    return found


class _Rows:
    """A query of Polars as a stream of Arrow that can be read any number of times."""

    def __init__(self, frame: pl.LazyFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return in_arrow.reader(self._frame).__arrow_c_stream__(requested_schema)


def _has(kind: pl.DataType) -> bool:
    import polars as pl

    return not isinstance(kind, pl.Duration | pl.Float16)


def of_relation(found: duckdb.DuckDBPyRelation, what: str) -> pl.LazyFrame:
    """Return a LazyFrame that runs the query of a relation; `what` describes it in errors.

    Raises RunError for a query that can't run, as of a closed connection, and, naming them all, for columns that can't
    be stored.
    """
    import duckdb

    try:
        in_arrow.refuse_repeated(found.columns, what)
        kinds = zip(found.columns, found.types, strict=True)
        if wrong := {name: str(kind) for name, kind in kinds if not _survives(kind)}:
            raise in_arrow.unfit(wrong, what)
        rows = _in_arrows_types(found)
        # A query inside of another has other names where only upper and lower case differ.
        names = list(found.columns)
        schema = in_arrow.schema_of(rows.limit(0).to_arrow_table().rename_columns(names).schema, what)
    except duckdb.ConnectionException as error:
        raise RunError(
            f"{what} can't be read any more: {str(error).splitlines()[0]}",
            hint="it is read after the task has returned it: don't close its connection, or take the one that a "
            "parameter `con: duckdb.DuckDBPyConnection` gets",
        ) from error
    except duckdb.Error as error:
        raise RunError(
            f"{what} can't be read: {str(error).splitlines()[0]}",
            hint="it is read after the task has returned it: the tables that it names must be there still, and all "
            "rows of another query fetched, as by `con.execute(...).fetchall()`",
        ) from error

    def run() -> Iterator[pl.DataFrame]:
        with _explained(found, what):
            reader: pa.RecordBatchReader = rows.to_arrow_reader(batches.ROWS)
        with reader, _explained(found, what):  # a connection takes no other query while rows of one are left
            for batch in reader:
                named = batch.rename_columns(names)
                arrow_values.refuse_lost(named, what, is_lost=arrow_values.is_endless)
                arrow_values.refuse_broken(named, what)
                yield in_arrow.frame_of(named)

    return batches.lazily(schema, run)


@contextmanager
def _explained(found: duckdb.DuckDBPyRelation, what: str) -> Iterator[None]:
    """Raise RunError for a number that is too big; other errors of the query pass as they are."""
    import duckdb

    try:
        yield
    except (duckdb.Error, OSError) as error:
        if (big := _TOO_BIG.search(str(error))) is None or all(kind.id not in _HUGE for kind in found.types):
            raise
        raise RunError(
            f"{what} has the number {big[1]}, which has more than the 38 digits that can be stored",
            hint="cast the column in the query, such as to DOUBLE or VARCHAR",
        ) from error


def _survives(kind: Any, *, inside: bool = False) -> bool:
    if kind.id in _LOST or (inside and kind.id in _HUGE):
        return False
    return kind.id not in _NESTED or all(
        _survives(inner, inside=True) for _, inner in kind.children if not isinstance(inner, int)
    )


def _in_arrows_types(found: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Return the relation with numbers of the type that Arrow has for them; one that is too big is an error then."""
    kinds = list(zip(found.columns, found.types, strict=True))
    if all(kind.id not in _HUGE for _, kind in kinds):
        return found
    casts = ["CAST(#{} AS DECIMAL(38, 0))" if kind.id in _HUGE else "#{}" for _, kind in kinds]
    names = [name.replace('"', '""') for name, _ in kinds]
    return found.project(", ".join(f'{cast.format(i + 1)} AS "{names[i]}"' for i, cast in enumerate(casts)))
