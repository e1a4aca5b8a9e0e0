"""Slices of a Delta table: the column values that one write replaced, in the form that a receipt carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.delta.strings import value_text
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from dbxdec.model.literals import Json

MAX_ROWS = 200
MAX_CHARACTERS = 8_000
"""The most that a receipt carries. Larger slices are described by the files of their commit instead."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows of a table, selected by the values of some columns. Each of `rows` has one value for each column.

    Values are strings, as Delta writes partition values (Delta protocol, "Partition Value Serialization"), so that each
    engine can read what another one wrote. None is null. In partition columns an empty string is null too.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]

    @classmethod
    def of_values(cls, values: Mapping[str, Any], partitions: Collection[str]) -> Slice:
        """Return the slice of rows with these values; `partitions` are the table's partition columns."""
        texts = ("" if value == "" and name not in partitions else value_text(value) for name, value in values.items())
        return cls(tuple(values), (tuple(texts),))

    @classmethod
    def of_partitions(cls, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Slice | None:
        """Return the slice of these partitions, given by their values; None if a receipt can't carry it."""
        texts: set[tuple[str | None, ...]] = set()
        size = 0
        for row in rows:
            one = tuple(map(value_text, row))
            if one not in texts:
                texts.add(one)
                size += sum(len(text or "") + 4 for text in one)
            if len(texts) > MAX_ROWS or size > MAX_CHARACTERS:
                return None
        return cls(tuple(columns), tuple(sorted(texts, key=repr)))

    def json_form(self) -> dict[str, Json]:
        """Return the form that a receipt carries."""
        return {"columns": [*self.columns], "rows": [[*row] for row in self.rows]}

    @classmethod
    def of_json_form(cls, form: Any) -> Slice | None:
        """Return the slice of a JSON form; None for a form of another shape."""
        match form:
            case {"columns": list(columns), "rows": list(rows)}:
                pass
            case _:
                return None
        fits = all(isinstance(row, list) and len(row) == len(columns) for row in rows)
        values = [value for row in rows if fits for value in row]
        if (
            not fits
            or not all(isinstance(v, str | None) for v in values)
            or not all(isinstance(c, str) for c in columns)
        ):
            return None
        return cls(tuple(columns), tuple(tuple(row) for row in rows))

    def meets(self, other: Slice) -> bool:
        """Return whether a row may be in both slices."""
        shared = [name for name in self.columns if name in other.columns]
        mine, theirs = (
            {tuple(row[one.columns.index(name)] for name in shared) for row in one.rows} for one in (self, other)
        )
        return not mine.isdisjoint(theirs)
