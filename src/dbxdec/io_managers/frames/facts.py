"""The facts of a frame that are known without running it: its rows, and its columns with their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.frames import NARWHALS, NARWHALS_LAZY, PANDAS, READER, RELATION, TABLE
from dbxdec.io_managers.frames.conversions import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable


def rows(value: Any) -> int | None:
    """Return the number of rows of a frame that has all of them; None for any other value."""
    return len(value) if kind_of(value) in (TABLE, PANDAS, NARWHALS) else None


def columns(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """Return the names and types of a frame's columns; None for any other value. Raises whatever its library does."""
    match kind_of(value):
        case kind if kind in (TABLE, READER):
            return [(field.name, field.type) for field in value.schema]
        case kind if kind == PANDAS:
            return list(value.dtypes.items())
        case kind if kind == RELATION:
            return list(zip(value.columns, value.types, strict=True))
        case kind if kind in (NARWHALS, NARWHALS_LAZY):
            return list(value.collect_schema().items())
        case _:
            return None
