"""Which partitions of a Delta table a frame replaces, as a predicate for delta-rs."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence


def predicate(columns: Sequence[str], tuples: Iterable[tuple[Any, ...]], texts: Collection[str] = ()) -> str:
    """SQL that holds exactly for rows whose `columns` are one of `tuples`; `tuples` must not be empty.

    `texts` are the columns of texts, whose empty and null values are one partition. One list of values for each column
    would be wrong: (1, "us") and (2, "eu") do not name (1, "eu"). So the last column's values are listed for each
    combination of the others.
    """
    groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for *head, last in sorted(set(tuples), key=repr):
        groups[tuple(head)].append(last)
    alternatives = []
    for values, lasts in groups.items():
        terms = [_one_of(column, [value], column in texts) for column, value in zip(columns, values, strict=False)]
        terms.append(_one_of(columns[-1], lasts, columns[-1] in texts))
        alternatives.append(terms[0] if len(terms) == 1 else f"({' AND '.join(terms)})")
    return " OR ".join(alternatives)


def _one_of(column: str, values: Sequence[Any], text: bool) -> str:
    name = '"' + column.replace('"', '""') + '"'
    # Delta protocol, "Partition Value Serialization": an empty string is null.
    present = [value for value in values if value is not None and value != ""]
    terms = []
    if present:
        literals = [_literal(value) for value in present]
        terms.append(f"{name} = {literals[0]}" if len(literals) == 1 else f"{name} IN ({', '.join(literals)})")
    if len(present) < len(values):
        terms += [f"{name} IS NULL", f"{name} = ''"] if text else [f"{name} IS NULL"]
    return terms[0] if len(terms) == 1 else f"({' OR '.join(terms)})"


def _literal(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"CAST('{value}' AS DOUBLE)"
        case Decimal():
            return f"'{value:f}'"  # takes the column's own precision and scale
        case dt.datetime():
            # delta-rs compares timestamps of the table's own unit only.
            zone = "None" if value.tzinfo is None else 'Some("UTC")'
            moment = value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
            return f"arrow_cast('{moment.isoformat()}', 'Timestamp(Microsecond, {zone})')"
        case dt.date():
            return f"CAST('{value.isoformat()}' AS DATE)"
        case bytes():
            return f"X'{value.hex()}'"
        case _:
            text = str(value).replace("'", "''")
            return f"'{text}'"
