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
    """The connection of one task, which is made when it is needed."""

    def __init__(self) -> None:
        self.made: duckdb.DuckDBPyConnection | None = None


_of_task: ContextVar[_Connection | None] = ContextVar("dbxdec_duckdb", default=None)


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
    """Return the connection of the task that runs; outside of one a new one, which its relations keep open."""
    require([RELATION])
    import duckdb

    own = _of_task.get()
    if own is not None and own.made is not None:
        return own.made
    made = duckdb.connect()
    made.execute("SET TimeZone = 'UTC'")  # else it is that of the machine
    if own is not None:
        own.made = made
    return made
