"""Polars frames as a task's parameter asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame, pl.DataFrame | pl.LazyFrame)


def named(name: str) -> pl.Expr:
    """The column `name`: `pl.col` takes `*` and `^...$` for patterns."""
    from polars import selectors

    return selectors.by_name(name).as_expr()


def cast(frame: Frame, types: Mapping[str, pl.DataType]) -> Frame:
    """`frame` with other types for some columns."""
    return frame.with_columns(named(name).cast(kind) for name, kind in types.items()) if types else frame


def with_keys(frame: pl.LazyFrame, columns: Sequence[str]) -> tuple[pl.LazyFrame, list[str]]:
    """`frame` with copies of `columns` that rows can be parted by, and leave in the files: their names, no column's."""
    free = "_" * (max(map(len, frame.collect_schema()), default=0) + 1)
    keys = [f"{free}{number}" for number in range(len(columns))]
    return frame.with_columns(named(name).alias(key) for name, key in zip(columns, keys, strict=True)), keys


def as_asked(frame: pl.LazyFrame, annotation: Any) -> pl.DataFrame | pl.LazyFrame:
    """`frame`, run where the parameter's annotation is DataFrame."""
    import polars as pl

    return frame.collect() if annotation is pl.DataFrame else frame


def together(values: Sequence[Any], annotation: Any) -> pl.DataFrame | pl.LazyFrame:
    """All frames, one below the other; a column that some lack is null there."""
    import polars as pl

    frames: list[pl.LazyFrame] = [value.lazy() for value in values]
    return as_asked(pl.concat(frames, how="diagonal_relaxed"), annotation)
