"""The IoManager of a test: it keeps in a lake what another manager would store, by that manager's own rules."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec import places
from dbxdec.errors import RunError
from dbxdec.io_managers import outcomes
from dbxdec.io_managers.base import InputContext, IoManager, OutputContext, WriteResult, of_run
from dbxdec.testing.lake import NOTHING, Lake, Version, copied, detached
from dbxdec.typehints import type_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_REAL = "`in_memory=False` has the task's own IoManager store it, below `variables={...}` of a temporary folder"


class MemoryIoManager(IoManager):
    """Stands for `own`, which would write to the place `target`."""

    reads_written = True

    def __init__(self, lake: Lake, own: IoManager, target: str | None) -> None:
        self._lake = lake
        self._own = own
        self._target = target
        self.reads = own.reads  # type: ignore[misc]
        self.writes = own.writes  # type: ignore[misc]

    @property
    def mode(self) -> str:
        """What a write does with what is there; managers without modes replace it."""
        return getattr(self._own, "mode", "overwrite")

    # Reading

    def read(self, context: InputContext) -> Any:
        versions, newest = self._lake.versions(context.uri), self._lake.newest(context.uri)
        if context.producer is None:
            if newest is NOTHING:
                raise RunError(
                    f"there is no table at {context.uri}, which `{context.parameter}` reads",
                    hint=f'give it to the run: tables={{"{context.uri.rpartition("/")[2]}": ...}}',
                )
            return self._asked(newest, context)
        wrote = [v for v in versions if v.writer is not None and context.producer.covers(v.writer)]
        if not wrote and newest is not NOTHING and self.mode == "ignore" and not context.written:
            return self._asked(newest, context)
        if not wrote or wrote[-1].content is NOTHING:
            raise outcomes.not_written(context)
        found = wrote[-1].added if context.written else wrote[-1].content
        if found is NOTHING:
            raise RunError(
                f"`{context.parameter}` asks for what a merge into {context.uri} has added",
                hint="read the whole result",
            )
        return self._asked(found, context)

    def _asked(self, value: Any, context: InputContext) -> Any:
        """`value` as the reader's annotation has it, else as the task's own manager would give it."""
        if type_name(type(value)) == "polars.DataFrame":
            asked = type_name(context.annotation)
            lazy = asked == "polars.LazyFrame" or "polars.LazyFrame" in (self.reads or ())
            return value.lazy() if lazy and asked != "polars.DataFrame" else value.clone()
        return copied(value)

    def combine(self, values: list[Any], context: InputContext) -> Any:
        return self._own.combine(values, context)

    # Writing

    def preflight(self, context: OutputContext) -> None:
        if self.mode == "error" and context.returns is not None and not _merges(context.returns):
            self._refuse_existing(context)

    def write(self, context: OutputContext, value: Any) -> WriteResult:
        if value is None:
            self._lake.add(context.uri, Version(context.receipt.id, NOTHING, NOTHING))
            return WriteResult(note="nothing to write")
        kind = type_name(type(value))
        if kind == "dbxdec.DeltaMerge":
            return self._add(context, self._merged(context, value), NOTHING)
        if kind == "deltalake.TableMerger":
            return self._add(context, self._executed(context, value), NOTHING)
        if self.writes is not None and not any(type_name(base) in self.writes for base in type(value).__mro__):
            raise RunError(
                f"the task `{context.receipt.id.task}` returned a {kind}, which {type(self._own).__name__} can't store",
                hint=f"it stores {', '.join(sorted(self.writes))}",
            )
        if self.mode == "error":
            self._refuse_existing(context)
        before = self._lake.newest(context.uri)
        if before is not NOTHING and self.mode == "ignore":
            return WriteResult(note="kept what was there")
        added = detached(value)
        content = added if before is NOTHING else self._after(before, added, context)
        return self._add(context, content, added)

    def _add(self, context: OutputContext, content: Any, added: Any) -> WriteResult:
        self._lake.add(context.uri, Version(context.receipt.id, content, added))
        rows = getattr(added, "height", None)
        return WriteResult(rows=rows if isinstance(rows, int) else None)

    def _refuse_existing(self, context: OutputContext) -> None:
        versions = self._lake.versions(context.uri)
        if any(version.content is not NOTHING and version.writer != context.receipt.id for version in versions):
            raise outcomes.exists(context)

    def _after(self, before: Any, added: Any, context: OutputContext) -> Any:
        """The table when `added` has been written over or below `before`."""
        if self.mode == "append":
            return self._together([before, added], context)
        slice_ = getattr(self._own, "replace", None)
        if slice_ is not None:
            values = {name: IoManager.resolve(of_run(value, context.parameters)) for name, value in slice_.items()}
            return self._together([_outside(before, values), added], context)
        columns = self._own.settings().get("partition_by")
        return self._together([_without(before, added, columns), added], context) if columns else added

    def _together(self, values: list[Any], context: OutputContext) -> Any:
        return detached(self._own.combine(values, InputContext(context.uri)))

    def _merged(self, context: OutputContext, merge: Any) -> Any:
        """The table after a merge, which delta-rs does in a temporary folder: its clauses are SQL."""
        import polars as pl

        if not isinstance(merge.source, pl.DataFrame | pl.LazyFrame):
            raise RunError(f"the merge into {context.uri} needs a Delta table of Spark", hint=_REAL)
        own: Any = copy.copy(self._own)
        own.storage_options = None
        with tempfile.TemporaryDirectory() as folder:
            uri = f"{folder}/table"
            if (before := self._lake.newest(context.uri)) is not NOTHING:
                before.write_delta(uri)
            own.write(replace(context, uri=uri), merge)
            return pl.read_delta(uri)

    def _executed(self, context: OutputContext, merger: Any) -> Any:
        """The table after a merge that the task has prepared on a table that it opened itself: where that is."""
        uri = places.resolved(self._target or "")
        self._own.write(replace(context, uri=uri), merger)
        return detached(self._own.read(InputContext(uri)))


def _merges(returns: tuple[str, ...]) -> bool:
    return not {"deltalake.TableMerger", "dbxdec.DeltaMerge", "delta.DeltaMergeBuilder"}.isdisjoint(returns)


def _without(before: Any, added: Any, columns: list[str]) -> Any:
    """`before` without the partitions that are in `added`."""
    if type_name(type(before)) == "polars.DataFrame":
        return before.join(added.select(columns).unique(), on=columns, how="anti", nulls_equal=True)
    keys = _spark(before, added).select(*columns).distinct()
    same = [before[name].eqNullSafe(keys[name]) for name in columns]
    return before.join(keys, same, "left_anti")


def _outside(before: Any, values: Mapping[str, Any]) -> Any:
    """`before` without the rows that have `values`."""
    if type_name(type(before)) == "polars.DataFrame":
        import polars as pl

        inside = [pl.col(name).eq_missing(pl.lit(value)) for name, value in values.items()]
        return before.filter(~pl.all_horizontal(inside))
    from functools import reduce

    frame = _spark(before, before)
    inside = [frame[name].eqNullSafe(value) for name, value in values.items()]
    return frame.filter(~reduce(lambda a, b: a & b, inside))


def _spark(before: Any, added: Any) -> Any:
    if not type_name(type(before)).startswith("pyspark."):
        raise RunError(f"a part of a {type_name(type(before))} can't be replaced in memory", hint=_REAL)
    return added
