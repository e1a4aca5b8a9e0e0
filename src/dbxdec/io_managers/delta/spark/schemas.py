"""Comparison of a Spark frame's columns with those of the Delta table that it is written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError
from dbxdec.io_managers import columns, spark_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HOMELESS = ("NullType", "CalendarIntervalType", "DayTimeIntervalType", "YearMonthIntervalType", "TimeType")


def check_storable(schema: Any, partitions: Sequence[str], *, task: str) -> None:
    """Raise RunError with all problems if no Delta table can hold a frame of `schema`."""
    problems = columns.unfit_names([(field.name, _shape(field.dataType)) for field in schema])
    homeless = {field.name: field.dataType.simpleString() for field in schema if not _has_form(field.dataType)}
    if homeless:
        lines = "".join(f"\n    {name}: {kind}" for name, kind in homeless.items())
        problems.append(
            Problem(
                f"a Delta table can't hold these columns:{lines}",
                hint="cast them in the task: a void column to its intended type, times and intervals to bigint",
            )
        )
    if problems:
        raise RunError(problems)
    spark_frames.check_partitions(schema, partitions, task=task)


def fitted(frame: Any, table: Any) -> Any:
    """Return `frame` with its columns of only nulls cast to the types that they have in the schema `table`."""
    from pyspark.sql import functions

    there = {field.name.lower(): field.dataType for field in table}
    for field in frame.schema:
        if _shape(field.dataType).open and field.name.lower() in there:
            frame = frame.withColumn(field.name, functions.lit(None).cast(there[field.name.lower()]))
    return frame


def check(frame: Any, table: Any, *, policy: str, uri: str, whole: bool = True, fills: bool = True) -> None:
    """Raise RunError with every difference between the schemas that `policy` does not allow; see `columns.compare`.

    Like Spark, it treats names that differ only in case as the same.
    """
    here, there = ({field.name: _shape(field.dataType) for field in schema} for schema in (frame, table))
    columns.compare(here, there, policy=policy, uri=uri, whole=whole, fills=fills, one=str.lower)


def grows(here: Any, there: Any) -> bool:
    """Return whether the type `here` has fields in its structs that those of `there` lack."""
    new, old = _shape(here), _shape(there)
    return columns.lacks({"": new}, {"": old}, one=str.lower)


def _shape(kind: Any) -> columns.Shape:
    """Return the shape of a Spark type, by which tables are compared."""
    parts = [getattr(kind, name, None) for name in ("elementType", "keyType", "valueType")]
    return columns.Shape(
        kind.simpleString(),
        tuple((field.name, _shape(field.dataType)) for field in getattr(kind, "fields", ())),
        tuple(_shape(part) for part in parts if part is not None),
        open=type(kind).__name__ == "NullType",
    )


def _has_form(kind: Any) -> bool:
    return all(type(node).__name__ not in _HOMELESS for node in _nodes(kind))


def _nodes(kind: Any) -> Iterator[Any]:
    """Yield the type and all types inside it."""
    yield kind
    for name in ("elementType", "keyType", "valueType"):
        if (inner := getattr(kind, name, None)) is not None:
            yield from _nodes(inner)
    for field in getattr(kind, "fields", ()):
        yield from _nodes(field.dataType)
