"""Polars frames as a task's parameter asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl


def as_asked(frame: pl.LazyFrame, annotation: Any) -> pl.DataFrame | pl.LazyFrame:
    """`frame`, run where the parameter's annotation is DataFrame."""
    import polars as pl

    return frame.collect() if annotation is pl.DataFrame else frame


def together(values: Sequence[Any], annotation: Any) -> pl.DataFrame | pl.LazyFrame:
    """All frames, one below the other; a column that some lack is null there."""
    import polars as pl

    frames: list[pl.LazyFrame] = [value.lazy() for value in values]
    return as_asked(pl.concat(frames, how="diagonal_relaxed"), annotation)
