"""Which partitions of a Delta table a frame replaces, as a predicate for delta-rs."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def predicate(columns: Sequence[str], tuples: Iterable[tuple[Any, ...]]) -> str:
    """SQL that holds exactly for rows whose `columns` are one of `tuples`; `tuples` must not be empty.

    One list of values for each column would be wrong: (1, "us") and (2, "eu") do not name (1, "eu"). So the last
    column's values are listed for each combination of the others.
    """
    rows = sorted(set(tuples), key=repr)
    if len(columns) == 1:
        return _one_of(columns[0], [row[0] for row in rows])
    groups: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in rows:
        groups[row[:-1]].append(row[-1])
    return " OR ".join(
        "("
        + " AND ".join(
            [
                *(_one_of(column, [value]) for column, value in zip(columns, head, strict=False)),
                _one_of(columns[-1], last),
            ]
        )
        + ")"
        for head, last in groups.items()
    )


def _one_of(column: str, values: Sequence[Any]) -> str:
    name = '"' + column.replace('"', '""') + '"'
    # The protocol stores an empty string and a null partition value alike ("Partition Value Serialization").
    present = [value for value in values if value is not None and value != ""]
    terms = []
    if present:
        literals = [_literal(value) for value in present]
        terms.append(f"{name} = {literals[0]}" if len(literals) == 1 else f"{name} IN ({', '.join(literals)})")
    if len(present) < len(values):
        terms.append(f"{name} IS NULL")
        if "" in values:
            terms.append(f"{name} = ''")
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
