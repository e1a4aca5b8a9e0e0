"""Comparisons in the conditions of a table that Polars makes of something else than the values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

# Parts of an expression whose types are looked at: a comparison has few, a chain of a thousand `OR` has thousands.
_SHORT = 20


def nodes(expression: pl.Expr) -> Iterator[pl.Expr]:
    """Yield an expression, and all that it is made of."""
    waiting = [expression]
    while waiting:  # some are deeper than Python's calls may be
        yield (one := waiting.pop())
        waiting += one.meta.pop()


def _pairs(expression: pl.Expr) -> Iterator[tuple[pl.Expr, list[pl.Expr]]]:
    """Yield each part of an expression that is made of two short ones, with these."""
    found, parents, parts = [expression], [0], []
    for i, one in enumerate(found):  # it grows
        parts.append(one.meta.pop())
        found += parts[i]
        parents += [i] * len(parts[i])
    sizes = [1] * len(found)
    for i in range(len(found) - 1, 0, -1):
        sizes[parents[i]] += sizes[i]
    for one, sides, size in zip(found, parts, sizes, strict=True):
        if len(sides) == 2 and size <= _SHORT:
            yield one, sides


def refuse_mixed(condition: pl.Expr, rows: pl.LazyFrame) -> None:
    """Raise RunError where a condition in SQL compares values that Polars takes for something else.

    With a number it compares the days since 1970, and with a string the digits of a decimal, or `true` and `false`.
    """
    import polars as pl

    for node, sides in _pairs(condition):
        try:
            made, *kinds = (rows.select(one.alias("it")).collect_schema()["it"] for one in (node, *sides))
        except pl.exceptions.PolarsError:  # a part that has no value of its own
            continue
        if pl.Duration in kinds and any(map(_is_zero, sides)):
            continue  # in any unit
        if pl.Boolean in kinds and not any(map(_is_no_boolean, sides)):
            continue
        if made == pl.Boolean and (said := _compared_as(*kinds) or _compared_as(*kinds[::-1])):
            raise RunError(
                f"it compares {kinds[1]} with {kinds[0]}: Polars would compare them as {said}",
                hint="compare values of one type, as by `CAST(code AS INT)`, `DATE '2024-01-01'`, `INTERVAL '1 hour'`, "
                "or a parameter of that type",
            )


def _is_zero(side: pl.Expr) -> bool:
    import polars as pl

    return side.meta.is_literal() and bool(pl.select(side).item() == 0)


def _is_no_boolean(side: pl.Expr) -> bool:
    """Return whether a side is a string that is written out, and is no value of Boolean."""
    import polars as pl

    return side.meta.is_literal() and pl.select(side).item() not in ("true", "false", True, False, None)


def _compared_as(one: pl.DataType, other: pl.DataType) -> str | None:
    """Return what Polars takes values of two types for; None where it compares them as what they are."""
    import polars as pl

    if one.is_temporal() and other.is_numeric():
        return "numbers"
    return "strings" if one == pl.String and (other.is_decimal() or other == pl.Boolean) else None
