"""Conditions in Spark's SQL that Spark takes, and that tell nothing of a row: as far as their text shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, listed
from dbxdec.io_managers.delta.sql import SPARK_SQL
from dbxdec.model.variables import names_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Words of conditions that name no column.
_CONSTANTS = frozenset({"and", "false", "in", "is", "like", "not", "null", "or", "true"})


def problems(conditions: Iterable[tuple[str, Any]]) -> Iterator[Problem]:
    """Yield what is wrong with conditions, given by the names of their expectations, whatever columns there are."""
    for name, condition in conditions:
        if not isinstance(condition, str) or names_in(condition):
            continue  # a bundle variable has no value yet
        try:
            refuse(condition, None)
        except RunError as error:
            yield from (replace(one, message=f'the expectation "{name}": {one.message}') for one in error.problems)


def refuse(condition: str, columns: Sequence[str] | None) -> None:
    """Raise RunError for a condition that is the same for all rows, or looks at other rows.

    Without `columns` any name may be that of one.
    """
    if SPARK_SQL.queries(condition):
        raise RunError(
            f"{condition!r:.80} has a query inside, whose rows may be others in a retry",
            hint="compare columns of the row, or join the other table in the task",
        )
    names = SPARK_SQL.names(condition)
    if names.isdisjoint(map(str.lower, columns)) if columns is not None else not names - _CONSTANTS:
        raise RunError(
            f"{condition!r:.80} names no column, so it is the same for all rows",
            hint="compare columns, as in `delay < 5000`; double quotes are around strings in Spark's SQL, and "
            "backticks around names"
            + ("" if columns is None else f"; the columns of the rows are {listed(list(columns)) or 'none'}"),
        )
