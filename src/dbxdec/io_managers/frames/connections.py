"""The DuckDB connection of a task: that of its relations, and of its parameter for a connection."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbxdec.io_managers.frames import RELATION, require

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb


class _Connection:
    """A connection that is made when it is needed."""

    def __init__(self) -> None:
        self.made: duckdb.DuckDBPyConnection | None = None


_own = _Connection()
"""The connection of the task that runs; outside of one, that of relations which are read by hand."""


@contextmanager
def one_connection() -> Iterator[None]:
    """Let all relations inside the block belong to one connection, which is closed at its end."""
    global _own
    before, own = _own, _Connection()
    _own = own
    try:
        yield
    finally:
        _own = before
        if own.made is not None:
            own.made.close()


def connection() -> duckdb.DuckDBPyConnection:
    """Return the connection of the task that runs."""
    require([RELATION])
    import duckdb

    if _own.made is None:
        _own.made = duckdb.connect()
        _own.made.execute("SET TimeZone = 'UTC'")  # else it is that of the machine
    return _own.made
