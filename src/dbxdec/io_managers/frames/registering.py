"""The inputs of a task as tables of the DuckDB connection that it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.frames import READER, RELATION, conversions, in_duckdb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection


def register(connection: DuckDBPyConnection, inputs: Mapping[str, Any]) -> None:
    """Make frames tables of the connection by the names of `inputs`; values that are no frames are left out.

    The connection is that of the task. Raises RunError for columns that DuckDB can't have.
    """
    import polars as pl

    for name, value in inputs.items():
        kind = conversions.kind_of(value)
        if kind == RELATION:
            value.create_view(name)
        elif kind == READER:  # DuckDB reads it, once
            connection.register(name, value)
        elif isinstance(frame := conversions.taken(value, f"the parameter `{name}`"), pl.DataFrame | pl.LazyFrame):
            in_duckdb.relation(frame.lazy(), name).create_view(name)
