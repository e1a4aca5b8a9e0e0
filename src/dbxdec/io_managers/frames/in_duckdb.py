"""DuckDB's relations: queries that run when their rows are needed, in the connection of the task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.frames import batches, in_arrow
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
_NESTED = frozenset({"list", "array", "struct", "map", "union"})


def relation(frame: pl.LazyFrame, parameter: str) -> duckdb.DuckDBPyRelation:
    """Return a relation of the rows of `frame`, whose query runs as often as DuckDB reads them."""
    return connection().from_arrow(Rows.of(frame, parameter)).set_alias(parameter)


class Rows:
    """A query of Polars as a stream of Arrow that can be read any number of times."""

    def __init__(self, frame: pl.LazyFrame) -> None:
        self._frame = frame

    @classmethod
    def of(cls, frame: pl.LazyFrame, parameter: str) -> Rows:
        """Raises RunError, naming them all, for columns of types that DuckDB does not have."""
        in_arrow.refuse_unknown(frame.collect_schema(), parameter, "DuckDB", _has)
        return cls(frame)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return in_arrow.reader(self._frame).__arrow_c_stream__(requested_schema)


def _has(kind: pl.DataType) -> bool:
    import polars as pl

    return not isinstance(kind, pl.Duration | pl.Float16)


def of_relation(found: duckdb.DuckDBPyRelation, what: str) -> pl.LazyFrame:
    """Return a LazyFrame that runs the query of a relation; `what` describes it in errors.

    Raises RunError for a closed connection, and, naming them all, for columns that can't be stored.
    """
    import duckdb

    try:
        kinds = dict(zip(found.columns, found.types, strict=True))
        in_arrow.refuse_repeated(found.columns, what)
        if wrong := {name: str(kind) for name, kind in kinds.items() if not _survives(kind)}:
            raise in_arrow.unfit(wrong, what)
        rows = found.project(*(_column(name, kind) for name, kind in kinds.items()))
        schema = in_arrow.schema_of(rows.limit(0).to_arrow_table().schema, what)
    except duckdb.ConnectionException as error:
        raise RunError(
            f"{what} can't be read any more: {str(error).splitlines()[0]}",
            hint="it is read after the task has returned it: don't close its connection, or take the one that a "
            "parameter `con: duckdb.DuckDBPyConnection` gets",
        ) from error

    def run() -> Iterator[pl.DataFrame]:
        reader: pa.RecordBatchReader = rows.to_arrow_reader(batches.ROWS)
        yield from map(in_arrow.frame_of, reader)

    return batches.lazily(schema, run)


def _survives(kind: Any, *, inside: bool = False) -> bool:
    if kind.id in _LOST or (inside and kind.id in _HUGE):
        return False
    return kind.id not in _NESTED or all(
        _survives(inner, inside=True) for _, inner in kind.children if not isinstance(inner, int)
    )


def _column(name: str, kind: Any) -> duckdb.Expression:
    """Return the column. A number that is too big for the type that Arrow has is an error of DuckDB's then."""
    import duckdb

    column = duckdb.ColumnExpression(name)
    return column.cast("DECIMAL(38, 0)").alias(name) if kind.id in _HUGE else column
