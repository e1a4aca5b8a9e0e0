"""Helpers for Polars frames: select, cast and combine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame, pl.DataFrame | pl.LazyFrame)


def named(name: str) -> pl.Expr:
    """Return the column `name`; `pl.col` would read `*` and `^...$` as patterns."""
    from polars import selectors

    return selectors.by_name(name).as_expr()


def cast(frame: Frame, types: Mapping[str, pl.DataType]) -> Frame:
    """Return `frame` with other types for some columns."""
    return frame.with_columns(named(name).cast(kind) for name, kind in types.items()) if types else frame


def with_keys(frame: pl.LazyFrame, columns: Sequence[str]) -> tuple[pl.LazyFrame, list[str]]:
    """Return `frame` with copies of `columns` to partition rows by, and the names of the copies.

    The columns themselves stay in the files. The names of the copies are names of no column.
    """
    free = "_" * (max(map(len, frame.collect_schema()), default=0) + 1)
    keys = [f"{free}{number}" for number in range(len(columns))]
    return frame.with_columns(named(name).alias(key) for name, key in zip(columns, keys, strict=True)), keys


def as_asked(frame: pl.LazyFrame, annotation: Any) -> pl.DataFrame | pl.LazyFrame:
    """Return `frame`, collected if the parameter is annotated as a DataFrame."""
    import polars as pl

    return frame.collect() if annotation is pl.DataFrame else frame


def together(values: Sequence[Any], annotation: Any) -> pl.DataFrame | pl.LazyFrame:
    """Return all frames concatenated. A column that a frame lacks is null in its rows."""
    import polars as pl

    frames: list[pl.LazyFrame] = [value.lazy() for value in values]
    return as_asked(pl.concat(frames, how="diagonal_relaxed"), annotation)
