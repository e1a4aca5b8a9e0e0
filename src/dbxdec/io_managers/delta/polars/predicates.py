"""Predicates for delta-rs for the rows of a Delta table that a frame replaces."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.delta.conditions import one_of_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence


def predicate(
    columns: Sequence[str],
    tuples: Iterable[tuple[Any, ...]],
    texts: Collection[str] = (),
    singles: Collection[str] = (),
) -> str:
    """Return SQL that holds exactly for rows whose `columns` are one of `tuples`, which must not be empty.

    `texts` are the columns of strings, in which empty and null values are one partition. `singles` are the columns of
    floats in single precision.
    """
    return one_of_rows(columns, tuples, lambda name, values: _one_of(name, values, name in texts, name in singles))


def slice_predicate(
    values: Mapping[str, Any], partitions: Collection[str], texts: Collection[str], singles: Collection[str]
) -> str:
    """Return SQL that holds exactly for rows with these values, null included.

    An empty string and null are the same only in partition columns.
    """
    terms = []
    for column, value in values.items():
        if value == "" and column not in partitions:
            terms.append(f"{quoted(column)} = ''")
        else:
            terms.append(_one_of(column, [value], column in texts and column in partitions, column in singles))
    return " AND ".join(terms)


def _one_of(column: str, values: Sequence[Any], text: bool, single: bool) -> str:
    name = quoted(column)
    # Delta protocol, "Partition Value Serialization": an empty string is null.
    present = [value for value in values if value is not None and value != ""]
    terms = []
    if present:
        # Polars has one zero, but the log has two.
        present += [-value for value in present if isinstance(value, float) and value == 0]
        literals = [_literal(value, single) for value in present]
        terms.append(f"{name} = {literals[0]}" if len(literals) == 1 else f"{name} IN ({', '.join(literals)})")
    if None in values or "" in values:
        terms += [f"{name} IS NULL", f"{name} = ''"] if text else [f"{name} IS NULL"]
    return terms[0] if len(terms) == 1 else f"({' OR '.join(terms)})"


def quoted(column: str) -> str:
    """Return `column` as an identifier of DataFusion's SQL."""
    return '"' + column.replace('"', '""') + '"'


def _literal(value: Any, single: bool) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"CAST('{value}' AS {'REAL' if single else 'DOUBLE'})"
        case Decimal():
            return f"'{value:f}'"  # takes the column's own precision and scale
        case dt.datetime():
            # delta-rs compares only timestamps in the table's own unit.
            zone = "None" if value.tzinfo is None else 'Some("UTC")'
            moment = value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
            return f"arrow_cast('{moment.isoformat()}', 'Timestamp(Microsecond, {zone})')"
        case dt.date():
            return f"CAST('{value.isoformat()}' AS DATE)"
        case _:
            text = str(value).replace("'", "''")
            return f"'{text}'"
