"""Readers of the other engine: a task with Polars that reads a Spark task's table, and the reverse.

The annotation of the reader decides. Both engines find the same receipts, so the rows are those that the run's producer
returned, whichever engine stored them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from dbxdec.errors import NotWrittenError, RunError
from dbxdec.io_managers.spark_session import first_line
from dbxdec.model.typehints import Annotation
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbxdec.io_managers.contexts import InputContext, ItemWrite
    from dbxdec.io_managers.delta.manager import DeltaIoManager
    from dbxdec.io_managers.delta.progress import Head

POLARS = frozenset({"polars.DataFrame", "polars.LazyFrame"})
SPARK = frozenset({"pyspark.DataFrame"})


class Reading(Protocol):
    """The reading half of an IoManager."""

    def read(self, context: InputContext) -> Any:
        """Return the value; see `IoManager.read`."""

    def read_items(self, context: InputContext, items: Sequence[ItemWrite], *, apart: bool) -> Any:
        """Return the values of iterations; see `IoManager.read_items`."""

    def empty(self, context: InputContext) -> Any:
        """Return an empty value; see `IoManager.empty`."""

    def head(self, context: InputContext) -> Head | None:
        """Return what a table is now; see `DeltaIoManager.head`."""


def to_spark(context: InputContext) -> Reading | None:
    """Return what reads a table of Polars for a reader of Spark; None for any other reader."""
    if not _wants(context, SPARK):
        return None
    from dbxdec.io_managers import SparkDeltaIoManager

    return SparkDeltaIoManager("unused")


def to_polars(manager: DeltaIoManager, context: InputContext, path: Callable[[str], str | None]) -> Reading | None:
    """Return what reads a table of Spark for a reader of Polars; None for any other reader.

    `path` gives the path of a table on a file system of this machine. Such a table Polars reads itself. Of another one
    Spark reads the rows, which then go through the memory of this process: only Spark has access to it.
    """
    if not _wants(context, POLARS):
        return None
    return _Collected(manager) if path(context.uri) is None else _AtPath(path)


def keys_at() -> DeltaIoManager:
    """Return what reads and notes the keys of a table of Spark at a path of this machine, without Spark."""
    from dbxdec.io_managers import PolarsDeltaIoManager

    return PolarsDeltaIoManager("unused")


def _wants(context: InputContext, types: frozenset[str]) -> bool:
    named = () if context.annotation is None else Annotation("", context.annotation).type_names
    return bool(named) and types.issuperset(named)


@dataclass(frozen=True)
class _AtPath:
    """Lets Polars read the table at its path."""

    path: Callable[[str], str | None]

    def _moved(self, context: InputContext) -> InputContext:
        return replace(context, uri=self.path(context.uri) or context.uri)

    def _manager(self) -> DeltaIoManager:
        from dbxdec.io_managers import PolarsDeltaIoManager

        return PolarsDeltaIoManager("unused")

    def read(self, context: InputContext) -> Any:
        return self._manager().read(self._moved(context))

    def read_items(self, context: InputContext, items: Sequence[ItemWrite], *, apart: bool) -> Any:
        moved = [replace(item, uri=self.path(item.uri) or item.uri) for item in items]
        return self._manager().read_items(self._moved(context), moved, apart=apart)

    def empty(self, context: InputContext) -> Any:
        return self._manager().empty(self._moved(context))

    def head(self, context: InputContext) -> Head | None:
        return self._manager().head(self._moved(context))


@dataclass(frozen=True)
class _Collected:
    """Lets Spark read the table, and makes Polars frames of its rows."""

    manager: DeltaIoManager

    def read(self, context: InputContext) -> Any:
        return _collected(self.manager.read(replace(context, annotation=None)), context)

    def read_items(self, context: InputContext, items: Sequence[ItemWrite], *, apart: bool) -> Any:
        found = self.manager.read_items(replace(context, annotation=None), items, apart=apart)
        if not apart:
            return _collected(found, context)
        return [one if isinstance(one, NotWrittenError) else _collected(one, context) for one in found]

    def empty(self, context: InputContext) -> Any:
        return _collected(self.manager.empty(replace(context, annotation=None)), context)

    def head(self, context: InputContext) -> Head | None:
        return self.manager.head(replace(context, annotation=None))


def _collected(frame: Any, context: InputContext) -> Any:
    """Return the rows of a Spark frame as Polars has those of a Delta table: moments are in UTC."""
    import polars as pl
    from polars import selectors

    try:
        # Spark 3.5 has no `toArrow`.
        rows = pl.from_arrow(frame.toArrow()) if hasattr(frame, "toArrow") else pl.from_pandas(frame.toPandas())
    except ImportError as error:
        raise RunError(
            f"`{context.parameter}` asks for a Polars frame of a table that only Spark can read, {context.uri}, but "
            f"that needs pyarrow: {first_line(error)}",
            hint="add pyarrow to the pipeline's dependencies, or annotate a Spark DataFrame",
        ) from error
    assert isinstance(rows, pl.DataFrame)  # noqa: S101 - a table, not a column
    rows = rows.with_columns(selectors.datetime(time_zone="*").dt.convert_time_zone("UTC"))
    return rows if "polars.DataFrame" in Annotation("", context.annotation).type_names else rows.lazy()
