"""Conditions in SQL for the rows of a Delta table that a frame replaces: what both engines share."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

V = TypeVar("V")


def one_of_rows(
    columns: Sequence[str], rows: Iterable[tuple[V, ...]], one_of: Callable[[str, Sequence[V]], str]
) -> str:
    """Return SQL that holds exactly where `columns` are one of `rows`, which must not be empty.

    `one_of` gives the condition that one column has one of some values. One list of values for each column would be
    wrong: (1, "us") and (2, "eu") do not name (1, "eu"). So the values of the last column are listed for each
    combination of the others.
    """
    groups: dict[tuple[V, ...], list[V]] = defaultdict(list)
    for *head, last in sorted(set(rows), key=repr):
        groups[tuple(head)].append(last)
    alternatives = []
    for others, lasts in groups.items():
        wanted = [*([value] for value in others), lasts]
        terms = [one_of(column, values) for column, values in zip(columns, wanted, strict=True)]
        alternatives.append(terms[0] if len(terms) == 1 else f"({' AND '.join(terms)})")
    return _any_of(alternatives)


def _any_of(terms: Sequence[str]) -> str:
    """Return `terms` joined with OR as a tree of pairs.

    DataFusion and Spark recurse into a flat chain, and thousands of terms exhaust their stack.
    """
    if len(terms) <= 2:
        return " OR ".join(terms)
    middle = len(terms) // 2
    return f"({_any_of(terms[:middle])}) OR ({_any_of(terms[middle:])})"
