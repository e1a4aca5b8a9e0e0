"""Merges into Delta tables through delta-rs: those that a task has made itself, and those that it describes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError, listed
from dbxdec.io_managers import delta_log, delta_once, polars_schema
from dbxdec.io_managers.base import WriteResult
from dbxdec.io_managers.delta_merge import SOURCE, TARGET
from dbxdec.io_managers.delta_storage import refusals
from dbxdec.io_managers.polars_delta_write import ATTEMPTS, once_only, pause

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable
    from deltalake.table import TableMerger

    from dbxdec.io_managers.delta_merge import Clause, DeltaMerge
    from dbxdec.io_managers.polars_delta_write import Target

_QUOTE = '"'


def execute_merger(target: Target, merger: TableMerger) -> WriteResult:
    """Execute a merge that the author has made, unless an earlier attempt of this write has done so."""
    from deltalake.exceptions import CommitFailedError

    uri = _uri_of(merger) or target.context.uri
    before = delta_log.open_table(uri, target.storage_options)
    if before is not None and (done := delta_once.done_before(before, target.receipt)) is not None:
        return done
    started = time.time_ns() // 1_000_000
    try:
        metrics = merger.execute()
    except CommitFailedError as error:
        now = delta_log.open_table(uri, target.storage_options)
        if now is None or (done := delta_once.done_before(now, target.receipt)) is None:
            raise delta_once.conflict(target.context, error) from error
        return done  # another attempt of this write was quicker
    table = delta_log.open_table(uri, target.storage_options)
    assert table is not None  # noqa: S101 - a merge has just been committed to it
    found = delta_log.find_receipt(table, target.receipt.id, since=started)
    note = "merged" if uri.rstrip("/").endswith(target.context.uri.rstrip("/")) else f"merged into {uri}"
    if found is None or found.receipt != target.receipt:
        # The receipt comes behind the data; a kill in between makes the retry merge again.
        delta_log.add_receipt(table, target.receipt, once=True, merge=metrics)
        if metrics.get("num_target_files_added") or metrics.get("num_target_files_removed"):
            note += "; at least once: give the merge `commit_properties=io.commit_properties()` for exactly once"
        return WriteResult(table.version() + 1, _rows(metrics), note)
    return WriteResult(found.version, _rows(metrics), note)


def execute(target: Target, merge: DeltaMerge) -> WriteResult:
    """Merge as `merge` says, exactly once; a conflict with another writer merges again into what is there then.

    Raises RunError, with nothing merged, where the source does not fit.
    """
    import polars as pl

    if not isinstance(merge.source, pl.DataFrame | pl.LazyFrame):
        kind = type(merge.source)
        raise RunError(
            f"the source of the DeltaMerge of the task `{target.receipt.id.task}` is a "
            f"{kind.__module__}.{kind.__qualname__}",
            hint="give it a pl.DataFrame or a pl.LazyFrame",
        )
    frame, schema = polars_schema.storable(merge.source)
    if missing := [name for name in merge.keys if name not in schema]:
        raise RunError(
            f"the source of the DeltaMerge of the task `{target.receipt.id.task}` has no column {listed(missing)}, by "
            "which it merges",
            hint=f"its columns are {listed(list(schema)) or 'none'}",
        )
    with once_only(frame) as source:
        _refuse_equal_keys(target, source, merge.keys)
        return _merge(target, merge, source, schema)


def _merge(
    target: Target, merge: DeltaMerge, source: pl.DataFrame | pl.LazyFrame, schema: dict[str, pl.DataType]
) -> WriteResult:
    import polars as pl
    from deltalake.exceptions import CommitFailedError

    for attempt in range(ATTEMPTS):
        table = target.open() or _create(target, schema)
        if (done := delta_once.done_before(table, target.receipt)) is not None:
            return done
        there = pl.Schema(table.schema())
        whole = {name: kind for name, kind in schema.items() if _is_copied(merge, name)}
        # The table may have columns that the source lacks: they keep their values, or are null.
        polars_schema.check({**there, **whole}, there, policy=target.schema, uri=target.context.uri)
        merger = table.merge(
            source.lazy().collect(engine="streaming"),
            merge.condition(_QUOTE),
            source_alias=SOURCE,
            target_alias=TARGET,
            merge_schema=target.schema == "add-columns",
            commit_properties=delta_log.commit_properties(target.receipt, once=True, after=table.version()),
        )
        for clause in merge.steps:
            merger = _with(merger, clause)
        try:
            with refusals(target.context.uri, "write"):
                metrics = merger.execute()
        except CommitFailedError as error:
            if attempt == ATTEMPTS - 1:
                raise delta_once.conflict(target.context, error) from error
            pause(attempt)
            continue
        version = delta_once.result_of(target.open(), target.receipt).version
        return WriteResult(version, _rows(metrics), _summary(metrics))
    raise AssertionError("unreachable")


def _create(target: Target, schema: dict[str, pl.DataType]) -> DeltaTable:
    """The table, empty, with the source's columns; somebody else may be quicker."""
    import polars as pl
    from deltalake.exceptions import DeltaError

    polars_schema.check_partitions(schema, target.partitions, task=target.receipt.id.task)
    options = {**target.write_options, "partition_by": list(target.partitions) or None}
    given = {name: value for name, value in options.items() if value is not None}
    try:
        with refusals(target.context.uri, "write"):
            pl.DataFrame(schema=schema).write_delta(
                target.context.uri, mode="error", storage_options=target.storage_options, delta_write_options=given
            )
    except DeltaError:
        if target.open() is None:
            raise
    table = target.open()
    assert table is not None  # noqa: S101 - it has just been made
    return table


def _is_copied(merge: DeltaMerge, column: str) -> bool:
    """Whether a clause gives the table this column of the source by its name."""
    return any(
        clause.action != "delete" and clause.values is None and column not in clause.except_cols
        for clause in merge.steps
    )


def _with(merger: TableMerger, clause: Clause) -> TableMerger:
    predicate, values, but = clause.predicate, clause.values, list(clause.except_cols)
    match clause.kind, clause.action:
        case "matched", "update":
            if values is None:
                return merger.when_matched_update_all(predicate, but or None)
            return merger.when_matched_update(dict(values), predicate)
        case "matched", "delete":
            return merger.when_matched_delete(predicate)
        case "not matched", _:
            if values is None:
                return merger.when_not_matched_insert_all(predicate, but or None)
            return merger.when_not_matched_insert(dict(values), predicate)
        case "not matched by source", "update":
            return merger.when_not_matched_by_source_update(dict(values or {}), predicate)
        case _:
            return merger.when_not_matched_by_source_delete(predicate)


def _refuse_equal_keys(target: Target, source: pl.DataFrame | pl.LazyFrame, keys: tuple[str, ...]) -> None:
    """delta-rs would write a row for each of two equal keys."""
    import polars as pl

    if not keys:
        return
    counted = source.lazy().select(keys).drop_nulls().group_by(keys).len().filter(pl.col("len") > 1).head(1)
    if (twice := counted.collect(engine="streaming")).height:
        values = ", ".join(f"{name}={twice[name][0]!r}" for name in keys)
        raise RunError(
            f"the source of the DeltaMerge of the task `{target.receipt.id.task}` has {twice['len'][0]} rows with "
            f"{values}: which of them counts?",
            hint="leave one row for each key, or merge by more columns",
        )


def _rows(metrics: dict[str, Any]) -> int:
    return sum(metrics.get(f"num_target_rows_{kind}", 0) for kind in ("inserted", "updated", "deleted"))


def _summary(metrics: dict[str, Any]) -> str:
    counts = [(metrics.get(f"num_target_rows_{kind}", 0), kind) for kind in ("inserted", "updated", "deleted")]
    return "merged: " + ", ".join(f"{count:,} {kind}" for count, kind in counts)


def _uri_of(merger: TableMerger) -> str | None:
    """Where a merge goes; delta-rs has no public way to ask."""
    uri = getattr(getattr(merger, "_table", None), "table_uri", None)
    return str(uri()) if callable(uri) else None
