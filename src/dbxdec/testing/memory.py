"""The IoManager of a test: it keeps values in a lake that another manager would store, by that manager's own rules."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import NotWrittenError, RunError
from dbxdec.io_managers import columns, frames, outcomes
from dbxdec.io_managers.base import IoManager
from dbxdec.io_managers.contexts import InputContext, ItemWrite, OutputContext, WriteResult
from dbxdec.io_managers.delta import judging, receipts
from dbxdec.io_managers.delta.manager import DeltaIoManager
from dbxdec.io_managers.delta.polars import quarantining as polars_rows
from dbxdec.io_managers.delta.progress import Head
from dbxdec.io_managers.delta.spark import quarantining as spark_rows
from dbxdec.io_managers.delta.spark.judging import Judge as SparkJudge
from dbxdec.io_managers.frames import conversions
from dbxdec.model import places
from dbxdec.model.typehints import type_name
from dbxdec.testing import new_rows, rules
from dbxdec.testing.engines import engine_of, in_engine_of
from dbxdec.testing.lake import NOTHING, Lake, Version, cleared, copied, detached

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dbxdec.io_managers.delta.progress import Consumer, Standing

_REAL = "`in_memory=False` has the task's own IoManager store it, below `variables={...}` of a temporary folder"


class MemoryIoManager(IoManager):
    """Replaces `own`, which would write to the place `target`, and rows that it leaves out to `quarantine`."""

    def __init__(self, lake: Lake, own: IoManager, target: str | None, quarantine: str = "") -> None:
        self._lake = lake
        self._own = own
        self._target = target
        self._quarantine = quarantine
        self.reads = own.reads  # type: ignore[misc]
        self.writes = own.writes  # type: ignore[misc]
        self.merges = own.merges  # type: ignore[misc]
        self.reads_changes = own.reads_changes  # type: ignore[misc]
        self._converts = frames.KINDS.issubset(own.reads or ())
        # Another manager's rules are not applied here, so the run compares values before it writes.
        self.checks_contracts = own.checks_contracts and hasattr(own, "judge")  # type: ignore[misc]

    @property
    def mode(self) -> str:
        """Return what a write does with existing content; managers without modes replace it."""
        return getattr(self._own, "mode", "overwrite")

    def _versions(self, uri: str) -> list[Version]:
        """Return the versions of a table; those that a test has given as the frames that `own` would read."""
        return list(map(self._converted, self._lake.versions(uri)))

    def _converted(self, version: Version) -> Version:
        content, returned = self._frame(version.content), self._frame(version.returned)
        same = content is version.content and returned is version.returned
        return version if same else replace(version, content=content, returned=returned)

    def _newest(self, uri: str) -> Any:
        return self._frame(self._lake.newest(uri))

    def _frame(self, value: Any, what: str = "the table") -> Any:
        return conversions.taken(value, what) if self._converts else value

    # Reading

    def read(self, context: InputContext) -> Any:
        if context.changes is not None and context.span is not None:
            versions = self._versions(context.uri)
            return self._asked(new_rows.read(versions, context, context.changes, context.span), context)
        if context.producer is None:
            newest = self._newest(context.uri)
            if newest is NOTHING:
                raise NotWrittenError(
                    f"there is no table at {context.uri}, which the parameter `{context.parameter}` reads",
                    hint=f'give it to the run: tables={{"{context.uri.rpartition("/")[2]}": ...}}',
                )
            return self._asked(newest, context)
        return self._asked(self._of_run(self._version(context), context), context)

    def head(self, context: InputContext) -> Head | None:
        """Return the newest version of a table, which is the same table for as long as the lake is; None without."""
        versions = self._versions(context.uri)
        there = any(version.content is not NOTHING for version in versions)
        return Head(context.uri, len(versions) - 1) if there else None

    def standing(
        self, context: OutputContext, consumer: Consumer, *, counts: bool = False, anew: bool = False
    ) -> Standing:
        """Return how far a consumer has read; whether there are rows is always known."""
        return new_rows.standing(self._versions(context.uri), consumer)

    def _version(self, context: InputContext) -> Version:
        """Return what the producer wrote in this run. Raises NotWrittenError when it had nothing to write."""
        wrote = [version for version in self._versions(context.uri) if version.writer == context.producer]
        found = next((version for version in reversed(wrote) if version.content is not NOTHING), None)
        if found is None:
            raise outcomes.not_written(context)
        return found

    def _of_run(self, found: Version, context: InputContext) -> Any:
        if context.rows == "changed" and found.kept:
            return cleared(found.content)
        if context.rows == "changed" and found.returned is NOTHING:
            raise RunError(
                f"the parameter `{context.parameter}` asks for the rows that a merge into {context.uri} has changed, "
                "which tables in memory don't record",
                hint=f"read the whole result; or {_REAL}",
            )
        return found.content if context.rows == "table" or found.returned is NOTHING else found.returned

    def read_items(self, context: InputContext, items: Sequence[ItemWrite], *, apart: bool) -> Any:
        self._refuse_lost(context, items)
        if apart or len({item.uri for item in items}) > 1:
            return self._read_each(context, items, apart=apart)
        # All write one table, and each of them has changed it further.
        versions = self._versions(context.uri)
        there = [(item, self._found(context, item)) for item in items]
        found = [version for _, version in there if version is not None]
        if found:
            outcomes.refuse_missing(context, [item for item, version in there if version is None])
        merges = {version.returned is NOTHING for version in found}
        if len(merges) > 1 and context.rows != "table":
            raise receipts.mixed(context)
        if found and (context.rows == "table" or merges == {True}):
            return self._asked(self._of_run(max(found, key=versions.index), context), context)
        return self._read_each(context, items, apart=False)

    def _read_each(self, context: InputContext, items: Sequence[ItemWrite], *, apart: bool) -> Any:
        if self._asks_for_others(context):
            return conversions.of_items(super().read_items, context, items, apart=apart)
        return super().read_items(context, items, apart=apart)

    def _asks_for_others(self, context: InputContext) -> bool:
        """Return whether the reader wants frames of another library than Polars, which `own` would make."""
        return self._converts and conversions.asked(context.annotation)[0] in frames.KINDS

    def _found(self, context: InputContext, item: ItemWrite) -> Version | None:
        try:
            return self._version(replace(context, uri=item.uri, producer=item.id))
        except NotWrittenError:
            return None

    def _refuse_lost(self, context: InputContext, items: Sequence[ItemWrite]) -> None:
        """Raise RunError where two iterations wrote one partition."""
        parts = self._own.settings().get("partition_by")
        if self.mode != "overwrite" or not parts or getattr(self._own, "replace", None) is not None:
            return
        owners: dict[Any, ItemWrite] = {}
        for item in items:
            version = self._found(context, item)
            if version is None or type_name(type(version.returned)) != "polars.DataFrame":
                continue
            for row in version.returned.select(parts).unique().rows():
                other = owners.setdefault((item.uri, *row), item)
                if other.id != item.id:
                    raise receipts.overwritten(context, other.label, item.label)

    def empty(self, context: InputContext) -> Any:
        newest = self._newest(context.uri)
        found = NOTHING if newest is NOTHING else cleared(newest)
        return super().empty(context) if found is NOTHING else self._asked(found, context)

    def _asked(self, value: Any, context: InputContext) -> Any:
        """Return `value` as the reader's annotation has it, else as the task's own manager would return it."""
        value = in_engine_of(value, context)
        if self._asks_for_others(context):
            return conversions.given(value.lazy(), context)
        if type_name(type(value)) == "polars.DataFrame":
            asked = type_name(context.annotation)
            lazy = asked == "polars.LazyFrame" or "polars.LazyFrame" in (self.reads or ())
            return value.lazy() if lazy and asked != "polars.DataFrame" else value.clone()
        return copied(value)

    def combine(self, values: list[Any], context: InputContext) -> Any:
        return engine_of(values, self._own).combine(values, context)

    # Writing

    def preflight(self, context: OutputContext) -> None:
        if self._converts:
            frames.require(context.returns or ())
        if self.mode == "error" and context.returns is not None and not _merges(context.returns):
            self._refuse_existing(context)

    def write(self, context: OutputContext, value: Any) -> WriteResult:
        task = context.receipt.id.task
        value = self._frame(value, f"what the task `{task}` returned")
        if value is None:
            nothing = Version(context.receipt.id, NOTHING, NOTHING, progress=context.receipt.progress)
            self._lake.add(context.uri, nothing)
            return WriteResult(note="nothing to write")
        kind = type_name(type(value))
        if kind == "dbxdec.DeltaMerge":
            value = replace(
                value, source=self._frame(value.source, f"the source of the DeltaMerge of the task `{task}`")
            )
            source, outcomes_ = self._expected(value.source, context, value)
            merged = self._merged(context, replace(value, source=source))
            return replace(self._add(context, merged, NOTHING), expectations=outcomes_)
        if kind == "deltalake.TableMerger":
            return self._add(context, self._executed(context, value), NOTHING)
        if self.writes is not None and not any(type_name(base) in self.writes for base in type(value).__mro__):
            raise RunError(
                f"the task `{context.receipt.id.task}` returned a {kind}, which {type(self._own).__name__} can't store",
                hint=f"it stores {', '.join(sorted(self.writes))}",
            )
        if getattr(value, "isStreaming", False) is True:
            raise RunError(
                f"the stream that the task `{context.receipt.id.task}` returned needs a Delta table", hint=_REAL
            )
        if self.mode == "error":
            self._refuse_existing(context)
        before = self._newest(context.uri)
        if before is not NOTHING and self.mode == "ignore":
            self._lake.add(context.uri, Version(context.receipt.id, before, NOTHING, kept=True))
            return WriteResult(note="kept what was there")
        expected, outcomes_ = self._expected(detached(value), context)
        added = self._checked(expected, context)
        content = added if before is NOTHING else self._after(before, added, context)
        return replace(self._add(context, content, added), expectations=outcomes_)

    def _expected(self, value: Any, context: OutputContext, merge: Any = None) -> tuple[Any, dict[str, Any]]:
        """Return the rows of a frame that the table expects, and how its expectations came out."""
        judge: Any = self._own.judge(context) if isinstance(self._own, DeltaIoManager) else None
        if judge is None:
            return value, {}
        if merge is not None:
            judge.refuse_merge(merge)
        of_spark = isinstance(judge, SparkJudge)
        if type_name(type(value)).startswith("polars.") == of_spark:
            engine = "Spark" if of_spark else "Polars"
            raise RunError(
                f"only {engine} can judge what {context.uri} expects, and its rows are a {type_name(type(value))}",
                hint=_REAL,
            )
        keep = None if self._own.quarantine is None else self._into_quarantine(context)  # type: ignore[attr-defined]
        judge = replace(judge, quarantine=keep, there=lambda: self._rows(context, type(value)))
        if of_spark:
            # Kept as it is: its query would give other rows each time.
            marked = judge.marked(value)
            marked = marked.at(marked.frame.localCheckpoint())
            return marked.kept, judging.facts(marked.settled())
        import polars as pl

        from dbxdec.io_managers.delta.polars import checks, schemas

        # As the table would have them: a category is a string, and unsigned integers have a sign.
        frame, schema = schemas.storable(value)
        conditions = judge.for_schema(pl.Schema(schema), value.collect_schema())
        with conditions.spilled(checks.signed(frame, schema, uri=context.uri)) as rows:
            kept, outcomes_ = conditions.accepted(rows)
            return kept.collect(), judging.facts(outcomes_)

    def _rows(self, context: OutputContext, kind: Any) -> Any:
        newest = self._newest(context.uri)
        if newest is NOTHING:
            return None
        found = in_engine_of(newest, InputContext(context.uri, annotation=kind))
        return found.lazy() if type_name(type(found)) == "polars.DataFrame" else found

    def _into_quarantine(self, context: OutputContext) -> Callable[[Any], None]:
        """Return what adds dropped rows to the quarantine's table in the lake."""
        table, write, uri = self._own.quarantine, context.receipt.id, self._quarantine  # type: ignore[attr-defined]

        def keep(rows: Any) -> None:
            of_polars = type_name(type(rows)).startswith("polars.")
            added = detached((polars_rows if of_polars else spark_rows).marked(rows, write))
            before = self._newest(uri)
            content = added if before is NOTHING else detached(table.combine([before, added], InputContext(uri)))
            self._lake.add(uri, Version(write, content, added))

        return keep

    def _add(self, context: OutputContext, content: Any, added: Any) -> WriteResult:
        version = Version(context.receipt.id, content, added, progress=context.receipt.progress)
        self._lake.add(context.uri, version)
        rows = getattr(added, "height", None)
        return WriteResult(rows=rows if isinstance(rows, int) else None)

    def _refuse_existing(self, context: OutputContext) -> None:
        versions = self._versions(context.uri)
        if any(version.content is not NOTHING and version.writer != context.receipt.id for version in versions):
            raise outcomes.exists(context)

    def _after(self, before: Any, added: Any, context: OutputContext) -> Any:
        """Return the table after a write of `added` that replaces or extends `before`."""
        if self.mode == "append":
            return self._together([before, added], context)
        if (slice_ := self._slice(context, added)) is not None:
            return self._together([_outside(before, slice_), added], context)
        parts = self._parts(getattr(added, "columns", ()))
        return self._together([_without(before, added, parts), added], context) if parts else added

    def _parts(self, names: Sequence[str]) -> list[str]:
        """Return the columns of `partition_by` by those of a result."""
        parts = self._own.settings().get("partition_by") or []
        return list(columns.named_as(parts, names)) if isinstance(self._own, DeltaIoManager) else parts

    def _slice(self, context: OutputContext, added: Any) -> dict[str, Any] | None:
        """Return the values of `replace=` in this run, by the columns of the result; None without it."""
        values = self._own.slice_in(context) if isinstance(self._own, DeltaIoManager) else None
        return None if values is None else columns.spelled_as(values, getattr(added, "columns", ()))

    def _checked(self, added: Any, context: OutputContext) -> Any:
        """Return a result as the table has it, if it fits the rules, partitions and slice of the task's own manager."""
        added = rules.applied(added, self._own, context)
        if type_name(type(added)) != "polars.DataFrame":
            return added
        from dbxdec.io_managers.delta.polars import checks, schemas

        partitions, slice_ = self._parts(added.columns), self._slice(context, added)
        task, schema = context.receipt.id.task, schemas.stored(added.schema)
        if partitions:
            missing = [name for name in partitions if name not in schema]
            columns.check_partitions(list(schema), missing, {}, alone=False, task=task)
            added = checks.refuse_lost(added, partitions)
        if slice_ is not None:
            checks.refuse_missing(list(schema), slice_, task=task)
            added = checks.refuse_rows_outside(added, checks.exact_slice(slice_, schema, partitions), task=task)
        return added

    def _together(self, values: list[Any], context: OutputContext) -> Any:
        return detached(self._own.combine(values, InputContext(context.uri)))

    def _merged(self, context: OutputContext, merge: Any) -> Any:
        """Return the table after a merge, which delta-rs does in a temporary folder: its clauses are SQL."""
        import polars as pl

        if not isinstance(merge.source, pl.DataFrame | pl.LazyFrame):
            raise RunError(f"the merge into {context.uri} needs a Delta table of Spark", hint=_REAL)
        own: Any = copy.copy(self._own)
        own.storage_options = None
        # How far the task has read is kept by the lake.
        context = replace(context, receipt=replace(context.receipt, progress=None))
        with tempfile.TemporaryDirectory() as folder:
            uri = f"{folder}/table"
            if (before := self._newest(context.uri)) is not NOTHING:
                rules.store(before, self._own, context, uri)
            own.write(replace(context, uri=uri), merge)
            return pl.read_delta(uri)

    def _executed(self, context: OutputContext, merger: Any) -> Any:
        """Return the table after a merge that a task prepared on a table that it opened itself at its real place."""
        uri = places.resolved(self._target or "")
        self._own.write(replace(context, uri=uri), merger)
        return detached(self._own.read(InputContext(uri)))


def _merges(returns: tuple[str, ...]) -> bool:
    return not {"deltalake.TableMerger", "dbxdec.DeltaMerge", "delta.DeltaMergeBuilder"}.isdisjoint(returns)


def _without(before: Any, added: Any, columns: list[str]) -> Any:
    """Return `before` without the partitions that are in `added`."""
    if type_name(type(before)) == "polars.DataFrame":
        return before.join(added.select(columns).unique(), on=columns, how="anti", nulls_equal=True)
    keys = _spark(before, added).select(*columns).distinct()
    same = [before[name].eqNullSafe(keys[name]) for name in columns]
    return before.join(keys, same, "left_anti")


def _outside(before: Any, values: Mapping[str, Any]) -> Any:
    """Return `before` without the rows that have `values`."""
    if type_name(type(before)) == "polars.DataFrame":
        import polars as pl

        from dbxdec.io_managers.polars_frames import named

        inside = [named(name).eq_missing(pl.lit(value)) for name, value in values.items()]
        return before.filter(~pl.all_horizontal(inside))
    from functools import reduce

    frame = _spark(before, before)
    inside = [frame[name].eqNullSafe(value) for name, value in values.items()]
    return frame.filter(~reduce(lambda a, b: a & b, inside))


def _spark(before: Any, added: Any) -> Any:
    if not type_name(type(before)).startswith("pyspark."):
        raise RunError(f"a part of a {type_name(type(before))} can't be replaced in memory", hint=_REAL)
    return added
