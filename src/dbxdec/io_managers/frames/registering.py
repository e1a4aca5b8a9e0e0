"""The inputs of a task as tables of the DuckDB connection that it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.frames import READER, RELATION, conversions, in_duckdb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection


def register(connection: DuckDBPyConnection, inputs: Mapping[str, Any]) -> None:
    """Make frames tables of the connection by the names of `inputs`; values that are no frames are left out.

    Raises RunError for columns of types that DuckDB does not have.
    """
    import polars as pl

    for name, value in inputs.items():
        kind = conversions.kind_of(value)
        if kind == RELATION:
            value.create_view(name)
        elif kind == READER:  # DuckDB reads it, once
            connection.register(name, value)
        elif isinstance(frame := conversions.taken(value, f"the parameter `{name}`"), pl.DataFrame | pl.LazyFrame):
            connection.register(name, in_duckdb.Rows.of(frame.lazy(), name))
