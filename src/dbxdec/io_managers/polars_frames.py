"""Helpers for Polars frames: select, cast and combine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from dbxdec.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import polars as pl

    Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame, pl.DataFrame | pl.LazyFrame)


def named(name: str) -> pl.Expr:
    """Return the column `name`; `pl.col` would read `*` and `^...$` as patterns."""
    from polars import selectors

    return selectors.by_name(name).as_expr()


def field_at(value: pl.Expr, number: int, of: int) -> pl.Expr:
    """Return the field at this place of a struct with `of` fields, whatever its name is; it may be a pattern, too."""
    places = list(map(str, range(of)))
    return value.struct.rename_fields(places).struct.field(places[number])


def cast(frame: Frame, types: Mapping[str, pl.DataType]) -> Frame:
    """Return `frame` with other types for some columns."""
    return frame.with_columns(named(name).cast(kind) for name, kind in types.items()) if types else frame


def watched(
    frame: pl.DataFrame | pl.LazyFrame, check: Callable[[pl.DataFrame], pl.DataFrame]
) -> pl.DataFrame | pl.LazyFrame:
    """Return `frame` with `check` over its rows. For a LazyFrame it runs while the query runs."""
    import polars as pl

    return check(frame) if isinstance(frame, pl.DataFrame) else frame.map_batches(check, streamable=True)


def with_keys(frame: pl.LazyFrame, columns: Sequence[str]) -> tuple[pl.LazyFrame, list[str]]:
    """Return `frame` with copies of `columns` to partition rows by, and the names of the copies.

    The columns themselves stay in the files. The names of the copies are names of no column.
    """
    free = "_" * (max(map(len, frame.collect_schema()), default=0) + 1)
    keys = [f"{free}{number}" for number in range(len(columns))]
    return frame.with_columns(named(name).alias(key) for name, key in zip(columns, keys, strict=True)), keys


def nodes(dtype: Any) -> Iterator[pl.DataType]:
    """Yield a type and all types inside it."""
    yield dtype
    for part in ("inner", "key", "value"):  # of lists and of maps
        if (inner := getattr(dtype, part, None)) is not None:
            yield from nodes(inner)
    for field in getattr(dtype, "fields", ()):
        yield from nodes(field.dtype)


def together(values: Sequence[Any]) -> pl.LazyFrame:
    """Return all frames concatenated. A column that a frame lacks is null in its rows.

    Raises RunError for columns whose types have no common one that keeps all values.
    """
    import polars as pl

    frames: list[pl.LazyFrame] = [value.lazy() for value in values]
    if len(frames) > 1:
        _refuse_other_types([frame.collect_schema() for frame in frames])
    return pl.concat(frames, how="diagonal_relaxed")


def _refuse_other_types(schemas: Sequence[Mapping[str, pl.DataType]]) -> None:
    """Raise RunError if a column has types of which Polars would change values to make one."""
    kinds: dict[str, list[pl.DataType]] = {}
    for schema in schemas:
        for name, kind in schema.items():
            if kind not in (known := kinds.setdefault(name, [])):
                known.append(kind)
    wrong = {name: found for name, found in kinds.items() if not all(_keeps(found[0], other) for other in found[1:])}
    if wrong:
        lines = "".join(f"\n    {name}: {', '.join(map(str, found))}" for name, found in wrong.items())
        raise RunError(
            f"the results of the iterations have columns of different types:{lines}",
            hint="cast them in the task, or read them apart: annotate `list[...]` or `dict[..., ...]`",
        )


def _keeps(one: Any, other: Any) -> bool:
    """Return whether the common type that Polars has for two types keeps all values of both."""
    import polars as pl

    if one == other or pl.Null in (one, other):
        return True
    if isinstance(one, pl.List | pl.Array) and isinstance(other, pl.List | pl.Array):
        return _keeps(one.inner, other.inner)
    if isinstance(one, pl.Struct) and isinstance(other, pl.Struct):
        there = {field.name: field.dtype for field in other.fields}
        return all(_keeps(field.dtype, there.get(field.name, pl.Null())) for field in one.fields)
    if isinstance(one, pl.Decimal) and isinstance(other, pl.Decimal):
        return one.scale == other.scale
    if one.is_integer() and other.is_integer():
        wide = {pl.UInt64, pl.Int128, pl.UInt128}
        return one.is_signed_integer() == other.is_signed_integer() or not wide & {type(one), type(other)}
    texts = pl.String | pl.Categorical | pl.Enum
    return (isinstance(one, texts) and isinstance(other, texts)) or (one.is_float() and other.is_float())
