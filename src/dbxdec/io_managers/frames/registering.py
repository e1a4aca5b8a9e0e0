"""The inputs of a task as tables of the DuckDB connection that it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.frames import READER, RELATION, conversions, in_duckdb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection


def register(connection: DuckDBPyConnection, inputs: Mapping[str, Any]) -> None:
    """Make frames tables of the connection by the names of `inputs`; values that are no frames are left out.

    The connection is that of the task. Raises RunError for columns that DuckDB can't have, and for names of tables
    that it would take for one.
    """
    import polars as pl

    tables: dict[str, str] = {}
    for name, value in inputs.items():
        kind = conversions.kind_of(value)
        if kind is None and not isinstance(value, pl.DataFrame | pl.LazyFrame):
            continue
        if (other := tables.setdefault(name.lower(), name)) != name:
            raise RunError(
                f"the parameters `{other}` and `{name}` would be one table of the DuckDB connection",
                hint="it does not tell upper and lower case apart: rename one of them",
            )
        if kind == RELATION:
            value.create_view(name)
        elif kind == READER:  # DuckDB reads it, once
            connection.register(name, value)
        else:
            in_duckdb.relation(conversions.taken(value, f"the parameter `{name}`").lazy(), name).create_view(name)
