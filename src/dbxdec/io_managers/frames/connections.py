"""The DuckDB connection of a task: that of its relations, and of its parameter for a connection."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from dbxdec.io_managers.frames import RELATION, require

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb


class _Connection:
    """A connection that is made when it is needed."""

    def __init__(self) -> None:
        self.made: duckdb.DuckDBPyConnection | None = None


_outside = _Connection()
"""That of relations which are read outside of a task."""
_of_task: ContextVar[_Connection] = ContextVar("dbxdec_duckdb", default=_outside)


@contextmanager
def one_connection() -> Iterator[None]:
    """Let all relations inside the block belong to one connection, which is closed at its end."""
    own = _Connection()
    token = _of_task.set(own)
    try:
        yield
    finally:
        _of_task.reset(token)
        if own.made is not None:
            own.made.close()


def connection() -> duckdb.DuckDBPyConnection:
    """Return the connection of the task that runs."""
    require([RELATION])
    import duckdb

    own = _of_task.get()
    if own.made is None:
        own.made = duckdb.connect()
        own.made.execute("SET TimeZone = 'UTC'")  # else it is that of the machine
    return own.made
