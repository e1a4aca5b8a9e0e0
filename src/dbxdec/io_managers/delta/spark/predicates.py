"""Predicates of Spark's SQL for the rows of a Delta table that a write replaces."""

from __future__ import annotations

import datetime as dt
import enum
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError, listed
from dbxdec.io_managers.delta import exact
from dbxdec.io_managers.delta.conditions import one_of_rows
from dbxdec.io_managers.spark_frames import is_string, quoted, string_literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from dbxdec.io_managers.delta.slices import Slice


def distinct_values(frame: Any, columns: Sequence[str]) -> list[tuple[str | None, ...]]:
    """Return the distinct values of `columns` in `frame`, each as a literal of Spark's SQL; None for null.

    Spark writes the literals: a Python value would lose the time zone of a timestamp, or the equality of NaN.
    """
    kinds = {field.name.lower(): field.dataType.simpleString() for field in frame.schema}
    picked = frame.selectExpr(
        *(f"{_to_string(quoted(name), kinds[name.lower()])} AS c{i}" for i, name in enumerate(columns))
    )
    rows = picked.distinct().collect()
    return [
        tuple(None if text is None else _from_string(text, kinds[name.lower()]) for text, name in zip(row, columns))  # noqa: B905
        for row in rows
    ]


def _to_string(column: str, kind: str) -> str:
    if kind == "timestamp":
        return f"CAST(unix_micros({column}) AS STRING)"
    if is_string(kind):
        # Delta protocol, "Partition Value Serialization": an empty string is null.
        return f"nullif(CAST({column} AS STRING), '')"
    return f"CAST({column} AS STRING)"


def _from_string(text: str, kind: str) -> str:
    if kind == "timestamp":
        return f"timestamp_micros({text})"
    if is_string(kind):
        return string_literal(text)
    return f"CAST('{text}' AS {kind})"


def literal(value: Any, kind: str) -> str | None:
    """Return a Python `value` as a literal of the type `kind` (Spark's simple string); None for null."""
    match value:
        case None:
            return None
        case bool():
            return f"CAST('{str(value).lower()}' AS {kind})"
        case dt.datetime() if value.tzinfo is not None:
            micros = (value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
            return f"timestamp_micros({micros})"
        case dt.datetime() | dt.date():
            return f"CAST('{value}' AS {kind})"
        case int() | float() | Decimal():
            return f"CAST('{value}' AS {kind})"
        case _:
            return string_literal(str(value))


def literal_of(value: Any) -> str | None:
    """Return a Python value as a literal of the type that it has by itself; None if it has none."""
    match value:
        case None:
            return "NULL"
        case enum.Enum():
            return literal_of(value.value)
        case bool():
            kind = "boolean"
        case int():
            kind = "bigint" if -(2**63) <= value < 2**63 else "decimal(38,0)"
        case float():
            kind = "double"
        case Decimal() if value.is_finite():
            _, digits, exponent = value.as_tuple()
            scale = max(-int(exponent), 0)
            kind = f"decimal({max(len(digits) + max(int(exponent), 0), scale, 1)},{scale})"
        case dt.datetime():
            kind = "timestamp_ntz"  # one with a zone is a moment whatever this says
        case dt.date():
            kind = "date"
        case str():
            kind = "string"
        case _:
            return None
    return literal(value, kind)


def slice_predicate(values: Mapping[str, Any], kinds: Mapping[str, str], partitions: Collection[str]) -> str:
    """Return SQL that holds exactly for the rows whose columns have `values`.

    `kinds` are the types of the columns, and `partitions` the table's partition columns among them. Raises RunError for
    values that no row can have.
    """
    given = exact.exact(values, {name: _kind(kinds[name]) for name in values}, partitions)
    literals = tuple(literal(value, kinds[name]) for name, value in given.items())
    return predicate(list(given), [literals], kinds, partitions)


def _kind(text: str) -> exact.Kind:
    """Return the kind of a Spark type, given by its simple string."""
    if decimal := _DECIMAL.fullmatch(text):
        return exact.Kind(text, "decimal", precision=int(decimal[1]), scale=int(decimal[2]))
    if text in _BITS:
        return exact.whole(text, _BITS[text])
    return exact.Kind(text, _FAMILIES.get(text.partition("(")[0], "nested"))


_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
_FAMILIES: dict[str, exact.Family] = {
    "boolean": "flag",
    "float": "single",
    "double": "double",
    "string": "text",
    "char": "text",
    "varchar": "text",
    "date": "day",
    "timestamp_ntz": "moment",
    "timestamp": "zoned",
    "binary": "binary",
}


def receipt_predicate(slice_: Slice, kinds: Mapping[str, str], partitions: Collection[str]) -> str:
    """Return SQL that holds exactly for the rows of a receipt's slice, which must not be empty."""
    tuples = [
        tuple(None if text is None else _of_receipt(text, kinds[name]) for name, text in zip(slice_.columns, row))  # noqa: B905
        for row in slice_.rows
    ]
    return predicate(slice_.columns, tuples, kinds, partitions)


def _of_receipt(text: str, kind: str) -> str:
    if is_string(kind):
        return string_literal(text)
    return f"X'{text}'" if kind == "binary" else f"CAST('{text}' AS {kind})"


def predicate(
    columns: Sequence[str],
    tuples: Iterable[tuple[str | None, ...]],
    kinds: Mapping[str, str],
    partitions: Collection[str],
) -> str:
    """Return SQL that holds exactly for rows whose `columns` are one of `tuples` of literals, which must not be empty.

    An empty string is null only in `partitions` (Delta protocol, "Partition Value Serialization").

    Raises RunError for a name with a backtick: Delta 4.4 reads such a partition column as null in every filter, so rows
    would be doubled.
    """
    if odd := [name for name in columns if "`" in name]:
        raise RunError(
            f"rows can't be replaced by the column {listed(odd)}: Delta misreads names with a backtick in filters",
            hint="rename it in the task",
        )
    return one_of_rows(
        columns,
        tuples,
        lambda name, values: _one_of(name, values, string=is_string(kinds[name]), partition=name in partitions),
    )


def _one_of(column: str, values: Sequence[str | None], *, string: bool, partition: bool) -> str:
    name = quoted(column)
    nulls = {None, "''"} if string and partition else {None}
    present = [value for value in values if value is not None and value not in nulls]
    terms = []
    if present:
        terms.append(f"{name} = {present[0]}" if len(present) == 1 else f"{name} IN ({', '.join(present)})")
    if len(present) < len(values):
        terms.append(f"{name} IS NULL")
        if string and partition:
            terms.append(f"{name} = ''")
    return terms[0] if len(terms) == 1 else f"({' OR '.join(terms)})"
