"""Merges into Delta tables through delta-rs: a TableMerger of the task, or a DeltaMerge."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError, listed
from dbxdec.io_managers import columns, outcomes
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.io_managers.delta import judging
from dbxdec.io_managers.delta.expectations import EXPECT
from dbxdec.io_managers.delta.merge import SOURCE, TARGET, feed_columns, refuse_elsewhere
from dbxdec.io_managers.delta.patience import Patience
from dbxdec.io_managers.delta.polars import checks, cursors, definition, lengths, once, schemas, storage, table_log
from dbxdec.io_managers.delta.polars.direct import commit
from dbxdec.io_managers.delta.polars.predicates import quoted
from dbxdec.io_managers.delta.polars.spilling import once_only
from dbxdec.io_managers.delta.polars.storage import refusals
from dbxdec.io_managers.delta.receipts import Left
from dbxdec.io_managers.frames import conversions
from dbxdec.io_managers.polars_frames import named
from dbxdec.io_managers.running import has_asked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl
    from deltalake import DeltaTable
    from deltalake.table import TableMerger

    from dbxdec.io_managers.delta.merge import Clause, DeltaMerge
    from dbxdec.io_managers.delta.polars.target import Target

_QUOTE = '"'


def execute_merger(target: Target, merger: TableMerger) -> WriteResult:
    """Execute a merge that the author made, unless an earlier attempt of this write did.

    Raises RunError, with nothing merged, for a merge into another table if a task reads the result. That task would get
    the table of the producer's own IoManager, which the merge has not touched.
    """
    from deltalake.exceptions import CommitFailedError

    uri = _uri_of(merger) or target.context.uri
    elsewhere = not _is_at(uri, target.context.uri)
    if elsewhere:
        refuse_elsewhere(target.context, uri)
    refuse_unseen(target)
    before = table_log.open_table(uri, target.storage_options)
    if before is not None and (done := once.done_before(before, target.receipt, own=True)) is not None:
        return done
    after = -1 if before is None else before.version()
    if target.receipt.progress is not None and not has_asked(target.receipt.id.output):
        raise RunError(
            f"the task `{target.receipt.id.task}` reads what is new, and returned a merge that would not note how far",
            hint="give the merge `commit_properties=io.commit_properties()`, or return a DeltaMerge",
        )
    if before is not None:
        cursors.refuse_taken(target, before)
        checks.refuse_rewrites(before, uri)
    try:
        metrics = merger.execute()
    except CommitFailedError as error:
        now = table_log.open_table(uri, target.storage_options)
        if now is None or (done := once.done_before(now, target.receipt, own=True)) is None:
            raise outcomes.conflict(target.context, storage.said(error)) from error
        return done  # another attempt of this write was faster
    table = table_log.open_table(uri, target.storage_options)
    assert table is not None  # noqa: S101 - a merge has just been committed to it
    found = table_log.committed_by(table, target.receipt, after=after)
    note = f"merged into {uri}" if elsewhere else "merged"
    if found is None:
        # The receipt comes after the data. If the process is killed in between, the retry merges again.
        table_log.add_receipt(table, target.receipt, Left("merge"), merge=metrics)
        if metrics.get("num_target_files_added") or metrics.get("num_target_files_removed"):
            note += "; at least once: give the merge `commit_properties=io.commit_properties()` for exactly once"
        return WriteResult(table.version() + 1, _rows(metrics), note)
    return WriteResult(found.version, _rows(metrics), note)


def refuse_unseen(target: Target) -> None:
    """Raise RunError if the table expects something of its rows: nobody sees those of a merge that the author made."""
    if target.judge is not None:
        target.judge.refuse_unseen("TableMerger")


def execute(target: Target, merge: DeltaMerge) -> WriteResult:
    """Execute `merge` exactly once; after a conflict with another writer, merge into the new state of the table.

    Raises RunError, with nothing merged, if the source does not fit.
    """
    import polars as pl

    what = f"the source of the DeltaMerge of the task `{target.receipt.id.task}`"
    merge = replace(merge, source=conversions.taken(merge.source, what))
    if not isinstance(merge.source, pl.DataFrame | pl.LazyFrame):
        kind = type(merge.source)
        raise RunError(
            f"{what} is a {kind.__module__}.{kind.__qualname__}",
            hint="give it a pl.DataFrame or a pl.LazyFrame",
        )
    table = target.open()
    merge = merge.without_feed([] if table is None else pl.Schema(table.schema()).names())
    if table is not None:
        if (done := once.done_before(table, target.receipt)) is not None:
            return done
        _check(target, merge, pl.Schema(table.schema()))
    frame, schema = schemas.storable(merge.source, _types(merge, table))
    merge.refuse_without_keys(list(schema), task=target.receipt.id.task)
    if target.judge is None:
        with once_only(frame) as source:
            return _merged(target, merge, source)
    target.judge.refuse_merge(merge)
    conditions = target.judge.for_schema(pl.Schema(schema))
    with conditions.spilled(checks.signed(frame, schema, uri=target.context.uri)) as source:
        rows, outcomes_ = conditions.accepted(source)
        facts = judging.facts(outcomes_)
        done = _merged(target.stating(**{EXPECT: facts}), merge, rows)
        return done if done.expectations else replace(done, expectations=facts)


def _merged(target: Target, merge: DeltaMerge, source: pl.DataFrame | pl.LazyFrame) -> WriteResult:
    _refuse_equal_keys(target, source, merge.keys)
    return _merge(target, merge, source)


def _types(merge: DeltaMerge, table: DeltaTable | None) -> dict[str, pl.DataType]:
    """Return the types in `table` of those columns of the source that are copied as they are."""
    import polars as pl

    there = {} if table is None else pl.Schema(table.schema())
    copied = merge.copied(merge.source.collect_schema())
    return {name: there[column] for column, name in copied if column in there}


def _merge(target: Target, merge: DeltaMerge, source: pl.DataFrame | pl.LazyFrame) -> WriteResult:
    import polars as pl
    from deltalake.exceptions import CommitFailedError

    uri = target.context.uri
    patience = Patience()
    while True:
        table = target.open() or _create(target, merge, source)
        if (done := once.done_before(table, target.receipt)) is not None:
            return done
        cursors.refuse_taken(target, table)
        if target.definition:
            definition.adjust(target, table)
        frame, schema = schemas.storable(source, _types(merge, table))
        _check(target, merge, pl.Schema(table.schema()))
        checks.refuse_rewrites(table, uri)
        rows = frame.lazy().collect(engine="streaming")
        parts = [name for column, name in merge.copied(schema) if column in table.metadata().partition_columns]
        checks.for_delta_rs(rows, parts, uri=uri)
        kinds = lengths.of_table(table)
        copied = merge.copied(schema)
        lengths.refuse_longer(rows, {name: kinds[column] for column, name in copied if column in kinds}, uri=uri)
        try:
            if _grow(target, merge, schema, table):
                continue
            properties, after = table_log.commit_properties(target.receipt, Left("merge")), table.version()
            with refusals(uri, "write"), _explained(target):
                metrics = _execute(table, merge, rows, commit_properties=properties)
            table = target.open() or table
            found = table_log.committed_by(table, target.receipt, after=after)
            if found is None:
                # delta-rs makes no commit for a merge that changes nothing, but this task has run.
                table_log.add_receipt(table, target.receipt, Left("merge"))
                found = table_log.committed_by(table, target.receipt, after=after)
        except CommitFailedError as error:
            now = target.open()
            if now is None or not patience.lasts(now.version()):
                raise outcomes.conflict(target.context, storage.said(error)) from error
            continue
        return WriteResult(found.version if found else None, _rows(metrics), _summary(metrics))


def _check(target: Target, merge: DeltaMerge, there: Mapping[str, pl.DataType]) -> None:
    """Raise RunError if the columns of the source, the clauses and the table do not fit together."""
    schema, task = merge.source.collect_schema(), target.receipt.id.task
    if quoting := [name for name in schema if "`" in name]:
        raise RunError(
            f"the source of the DeltaMerge of the task `{task}` has columns with backticks in their names, which "
            f"delta-rs takes for quotes: {listed(quoting)}",
            hint="rename them, or merge through Spark (SparkDeltaIoManager)",
        )
    merge.refuse_unknown(schema, [*there, *(schema if target.schema == "add-columns" else ())], task=task)
    # The table may have columns that the source lacks: they keep their values, or are null.
    given, known = schemas.shapes(schema), schemas.shapes(there)
    result = {**known, **{column: given[name] for column, name in merge.copied(schema)}}
    columns.compare(result, known, policy=target.schema, uri=target.context.uri, whole=False, fills=False)


def _grow(target: Target, merge: DeltaMerge, schema: Mapping[str, pl.DataType], table: DeltaTable) -> bool:
    """Give `table` the columns that the merge fills and it lacks, if it may grow. Return whether it grew.

    delta-rs could add columns during the merge, but then drops the rule that a column must not be null. Raises RunError
    if delta-rs could not read the table afterwards.
    """
    import polars as pl

    there = pl.Schema(table.schema())
    given = {column: schema[name] for column, name in merge.copied(schema)}
    given |= {name: schema[name] for clause in merge.steps for name in clause.values or () if name in schema}
    new = schemas.added({name: kind for name, kind in given.items() if name in schema}, there)
    if target.schema != "add-columns" or not new:
        return False
    if lists := schemas.grown_lists(given, there):
        raise RunError(
            f"the column {listed(lists)} of {target.context.uri} has lists whose structs would get new fields, and "
            "delta-rs could not merge into the table any more",
            hint="store the new fields in a separate column, or merge through Spark (SparkDeltaIoManager)",
        )
    _rehearse(target, merge, {**there, **given}, schema)
    commit.grow(table, new, uri=target.context.uri)
    return True


def _rehearse(
    target: Target, merge: DeltaMerge, table: Mapping[str, pl.DataType], source: Mapping[str, pl.DataType]
) -> None:
    """Raise RunError if delta-rs can't execute the merge of such a source into such a table."""
    import polars as pl
    from deltalake import DeltaTable

    with tempfile.TemporaryDirectory(prefix="dbxdec-") as scratch, _explained(target):
        pl.DataFrame(schema=table).write_delta(scratch)
        _execute(DeltaTable(scratch), merge, pl.DataFrame(schema=source))


def _execute(table: DeltaTable, merge: DeltaMerge, rows: pl.DataFrame, **options: Any) -> dict[str, Any]:
    merger = table.merge(rows, merge.condition(_QUOTE), source_alias=SOURCE, target_alias=TARGET, **options)
    for clause in merge.steps:
        merger = _with(merger, clause)
    return merger.execute()


@contextmanager
def _explained(target: Target) -> Iterator[None]:
    """Raise delta-rs' refusal of a merge in one sentence; a failed commit passes as it is."""
    from deltalake.exceptions import CommitFailedError, DeltaError

    try:
        yield
    except CommitFailedError:
        raise
    except Exception as error:
        # Arrow's errors are plain Exceptions.
        if not isinstance(error, DeltaError) and type(error) is not Exception:
            raise
        raise storage.refusal(target.context.uri, error, "write") or RunError(
            f"delta-rs can't execute the DeltaMerge of the task `{target.receipt.id.task}`: {storage.said(error)}",
            hint='conditions and values are SQL over `source` and `target`; quote unusual names, as in target."a name"',
        ) from error


def _create(target: Target, merge: DeltaMerge, source: pl.DataFrame | pl.LazyFrame) -> DeltaTable:
    """Return the table, made empty with the source's columns, or as another writer made it first.

    Raises RunError, with nothing made, if the merge can't be executed on it.
    """
    import polars as pl
    from deltalake.exceptions import DeltaError

    given_schema = schemas.stored(source.collect_schema())
    own = feed_columns(given_schema)
    schema = {name: kind for name, kind in given_schema.items() if name not in own}
    target = target.spelled(schema)
    schemas.check_partitions(schema, target.partitions, task=target.receipt.id.task)
    _check(target, merge, schema)
    _rehearse(target, merge, schema, given_schema)
    if target.definition:
        return definition.create(target, schema, source.drop(own))
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


def _with(merger: TableMerger, clause: Clause) -> TableMerger:
    predicate, but = clause.predicate, list(clause.except_cols)
    values = {quoted(name): value for name, value in (clause.values or {}).items()}
    match clause.kind, clause.action:
        case "matched", "update":
            if clause.values is None:
                return merger.when_matched_update_all(predicate, but or None)
            return merger.when_matched_update(values, predicate)
        case "matched", "delete":
            return merger.when_matched_delete(predicate)
        case "not matched", _:
            if clause.values is None:
                return merger.when_not_matched_insert_all(predicate, but or None)
            return merger.when_not_matched_insert(values, predicate)
        case "not matched by source", "update":
            return merger.when_not_matched_by_source_update(values, predicate)
        case _:
            return merger.when_not_matched_by_source_delete(predicate)


def _refuse_equal_keys(target: Target, source: pl.DataFrame | pl.LazyFrame, keys: tuple[str, ...]) -> None:
    """Raise RunError for equal keys in the source: delta-rs would write a row for each of them."""
    import polars as pl

    if not keys:
        return
    count, columns = "_" * (max(map(len, keys)) + 1), list(map(named, keys))
    counted = source.lazy().select(columns).drop_nulls().group_by(columns).len(count)
    twice = counted.filter(pl.col(count) > 1).head(1).collect(engine="streaming")
    if twice.height:
        values = ", ".join(f"{name}={twice[name][0]!r}" for name in keys)
        raise RunError(
            f"the source of the DeltaMerge of the task `{target.receipt.id.task}` has {twice[count][0]} rows with the "
            f"key {values}; keys must be unique",
            hint="keep one row for each key, or merge on more columns",
        )


def _rows(metrics: dict[str, Any]) -> int:
    return sum(metrics.get(f"num_target_rows_{kind}", 0) for kind in ("inserted", "updated", "deleted"))


def _summary(metrics: dict[str, Any]) -> str:
    counts = [(metrics.get(f"num_target_rows_{kind}", 0), kind) for kind in ("inserted", "updated", "deleted")]
    return "merged: " + ", ".join(f"{count:,} {kind}" for count, kind in counts)


def _is_at(uri: str, place: str) -> bool:
    """Return whether the table at `uri`, as delta-rs spells it, is the one at `place`."""
    one, other = map(table_log.root_of, (uri, place))
    if "://" in one or "://" in other:
        return one.rstrip("/") == other.rstrip("/")
    return os.path.realpath(one) == os.path.realpath(other)


def _uri_of(merger: TableMerger) -> str | None:
    """Return the URI that a merge goes to. delta-rs has no public way to ask for it."""
    uri = getattr(getattr(merger, "_table", None), "table_uri", None)
    return str(uri()) if callable(uri) else None
