"""Merges into Delta tables through Spark: a DeltaMergeBuilder of the task, or a DeltaMerge.

Where the session accepts no settings, as on serverless compute, `marked_merge` runs a DeltaMerge exactly once; a
builder then runs at least once.
"""

from __future__ import annotations

import re
import time
import uuid
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from dbxdec.errors import DbxdecError, RunError
from dbxdec.io_managers import outcomes, spark_frames
from dbxdec.io_managers.contexts import WriteResult
from dbxdec.io_managers.delta.merge import SOURCE, TARGET, feed_columns, refuse_elsewhere, refuse_unnoted
from dbxdec.io_managers.delta.patience import ATTEMPTS, pause
from dbxdec.io_managers.delta.receipts import Left, Trail
from dbxdec.io_managers.delta.spark import cursors, equal_keys, marked_merge, messages, schemas, store, write
from dbxdec.io_managers.delta.spark.judged_rows import JudgedRows
from dbxdec.io_managers.spark_frames import quoted
from dbxdec.io_managers.spark_session import condition, explained, fail, first_line, is_conflict, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbxdec.io_managers.contexts import OutputContext
    from dbxdec.io_managers.delta.merge import Clause, DeltaMerge
    from dbxdec.io_managers.delta.spark.log import SparkTable
    from dbxdec.io_managers.delta.spark.store import FrameWrite

T = TypeVar("T")
_BUILDER = "merged; at least once: this compute accepts no settings, so return a DeltaMerge instead of a builder"
_KINDS = ("matched", "not matched", "not matched by source")


def execute_builder(table: SparkTable, context: OutputContext, builder: Any) -> WriteResult:
    """Execute a DeltaMergeBuilder exactly once, whichever table it merges into.

    At least once where the session accepts no settings of a transaction. Raises RunError on a conflict with another
    writer.
    """
    into = _target_of(builder, table)
    if into is not table:
        refuse_elsewhere(context, into.uri)

    def run() -> list[Any] | None:
        outcome = builder.execute()
        return outcome.collect() if outcome is not None else None  # older versions of Delta return nothing

    try:
        return _with_transaction(into, context, run) or _at_least_once(into, context, run)
    except Exception as error:
        if isinstance(error, DbxdecError) or not is_conflict(error):
            fail(error, into.uri, "write")
        if context.receipt.progress is not None:
            if (done := cursors.committed(into, context.receipt)) is not None:
                return done
            raise messages.conflict(context, error) from error
        if (found := into.find(context.receipt.id).found.get(context.receipt.id)) is None:
            raise messages.conflict(context, error) from error
        return messages.already(found, context.receipt, into.uri)  # another attempt was faster


def _target_of(builder: Any, own: SparkTable) -> SparkTable:
    """Return the table that a builder merges into: `own` if it is that table, or if Spark can't tell (Connect)."""
    try:
        row = builder._jbuilder.targetTable().detail().first()
        name, location = row.getAs("name"), row.getAs("location")
    except Exception:  # noqa: BLE001 - a builder of another Delta, or of Connect
        return own
    detail = own.detail()
    if detail is not None and _plain(detail.location) == _plain(location):
        return own
    return replace(own, uri=name, named=True) if name else replace(own, uri=location, named=False)


def _plain(location: str) -> str:
    """Return a location in one spelling: Spark writes local ones with and without their scheme."""
    return re.sub(r"^file:/+", "/", location).rstrip("/")


def execute(target: FrameWrite, merge: DeltaMerge) -> WriteResult:
    """Execute `merge` exactly once; after a conflict with another writer, merge into the new state of the table.

    Raises RunError, with nothing merged, if the source does not fit, and if a later attempt has taken over.
    """
    if target.judge is None:
        return _execute(target, fitted(target, merge))
    receipt, table = target.context.receipt, target.table
    target.judge.refuse_merge(merge)
    # What an earlier attempt has merged is not judged again.
    detail = table.detail()
    if detail is not None and (done := store.already_done(table, receipt)) is not None:
        return done
    merge = fitted(target, merge)
    if detail is not None:
        _check(target, merge, table.frame().schema)
    with JudgedRows(target.judge, table, receipt) as rows:
        merge = replace(merge, source=rows.of(merge.source, once=False))
        return rows.told(_execute(target.stating(rows.stating(receipt)), merge), "")


def _execute(target: FrameWrite, merge: DeltaMerge) -> WriteResult:
    return _through(target, merge, lambda attempt: _exactly_once(target, merge, again=attempt > 0))


def prepare(target: FrameWrite, merge: DeltaMerge) -> None:
    """Check a fitted merge, and make the table ready for it, without a merge."""
    _through(target, merge, lambda _: None)


def fitted(target: FrameWrite, merge: DeltaMerge) -> DeltaMerge:
    """Return `merge` with a source as the table takes it. Raises RunError if it can't be merged."""
    table = target.table
    detail = table.detail()
    merge = merge.without_feed([] if detail is None else table.frame().columns, one=str.lower)
    source = merge.source if detail is None else schemas.fitted(merge.source, table.frame().schema)
    parts = {name.lower() for name in (target.partitions if detail is None else detail.partitions)}
    copied = merge.copied(source.columns, one=str.lower)
    source = spark_frames.refuse_lost(source, [name for column, name in copied if column.lower() in parts])
    merge = replace(merge, source=source)
    schemas.check_storable(source.schema, (), task=target.task)
    merge.refuse_without_keys(source.columns, task=target.task, one=str.lower)
    return merge


def _through(target: FrameWrite, merge: DeltaMerge, run: Callable[[int], T]) -> T:
    """Return what `run` returns for the table made ready; it is tried again after a conflict with another writer."""
    table, source = target.table, merge.source
    own = feed_columns(source.columns, one=str.lower)
    made = source.drop(*own) if own else source
    with _view(table.spark, source) as rehearsed:
        for attempt in range(ATTEMPTS):
            detail = table.detail()
            there = detail is not None
            marked_merge.refuse_fenced(table, detail, target.context.receipt)
            _check(target, merge, table.frame().schema if there else made.schema)
            try:
                with _explained(target, merge):
                    _rehearse(table, merge, rehearsed, there=there)
                    if not there:
                        target.create_empty(made)
                    if target.definition and (now := table.detail()) is not None:
                        target.adjust(now)
                    _grow(target, merge)
                    return run(attempt)
            except Exception as error:
                if isinstance(error, DbxdecError) or not is_conflict(error):
                    fail(error, table.uri, "write")
                if attempt == ATTEMPTS - 1:
                    raise messages.conflict(target.context, error) from error
            pause(attempt)
    raise AssertionError("unreachable")


def _exactly_once(target: FrameWrite, merge: DeltaMerge, *, again: bool) -> WriteResult:
    """Run a merge unless an earlier attempt has, by settings of the session where it accepts them."""
    checked = replace(merge, source=equal_keys.refused(merge.source, merge.keys))
    with _view(target.table.spark, checked.source) as view:
        result = _with_transaction(target.table, target.context, _runs(target.table, checked, view))
    return result or _marked(target.table, target.context, checked, again=again)


@contextmanager
def _explained(target: FrameWrite, merge: DeltaMerge) -> Iterator[None]:
    """Raise Spark's refusal of a merge in one sentence."""
    try:
        yield
    except Exception as error:
        if equal_keys.is_told(error):
            raise equal_keys.error(target.task, merge.source, merge.keys) from error
        wrong = any(kind.__name__ == "AnalysisException" for kind in type(error).__mro__)
        if is_conflict(error) or not (wrong or condition(error).startswith("DELTA_MULTIPLE_SOURCE_ROW")):
            raise
        if (told := explained(error, target.table.uri, "write")) is not None:
            raise told from error
        raise RunError(
            f"Spark can't execute the DeltaMerge of the task `{target.task}`: {first_line(error)}",
            hint="conditions and values are SQL over `source` and `target`; quote unusual names, as in target.`a name`",
        ) from error


def _runs(table: SparkTable, merge: DeltaMerge, view: str, mark: str = "") -> Callable[[], list[Any]]:
    """Return a function that runs the merge from the view of its source."""
    sql = statement(table, merge, view, mark)
    return lambda: list(table.spark.sql(sql).collect())


def _marked(table: SparkTable, context: OutputContext, merge: DeltaMerge, *, again: bool) -> WriteResult:
    """Run the merge exactly once in a session that accepts no settings."""
    from pyspark.sql import functions

    def run(mark: str) -> None:
        with _view(table.spark, merge.source.withColumn(mark, functions.lit(True))) as view:
            _runs(table, merge, view, mark)()

    return marked_merge.execute(table, context.receipt, run, again=again)


def _with_transaction(
    table: SparkTable, context: OutputContext, run: Callable[[], list[Any] | None], undone: Trail | None = None
) -> WriteResult | None:
    """Run a merge unless an earlier attempt has; meanwhile the session carries the write's transaction.

    `undone` is what the log says of the write where it is known that a RESTORE has undone it. Returns None, with
    nothing done, if the session does not accept the settings.
    """
    receipt = context.receipt
    if receipt.progress is not None and (done := cursors.committed(table, receipt)) is not None:
        return done
    mark, left = uuid.uuid4().hex, Left("merge")
    began = time.time_ns() // 1_000_000
    trail = undone or (table.find(receipt.id) if receipt.attempt > 1 and receipt.progress is None else Trail())
    once = write.next_transaction(trail, receipt)
    with settings(table.spark, write.transaction_settings(receipt, left, once=once, write=mark)) as taken:
        if not taken:
            return None
        outcome = run()
    found = table.find(receipt.id, since=began).found.get(receipt.id)
    if found is not None and found.facts.get("write") == mark:
        where = "" if table.uri == context.uri else f" into {table.uri}"
        return WriteResult(found.version, messages.affected(found), messages.merged(found, where))
    if outcome and receipt.progress is not None:
        if outcome[0]["num_affected_rows"]:
            refuse_unnoted(context, "another table")
        return cursors.note(table, receipt, left, mark) or WriteResult(None, 0, "merged: nothing to change")
    if outcome:
        return WriteResult(None, outcome[0]["num_affected_rows"], "merged into another table")
    if receipt.progress is not None:
        return cursors.dropped(table, receipt)
    trail = Trail(found={receipt.id: found}) if found is not None else table.find(receipt.id)
    found = trail.found.get(receipt.id)
    if found is not None:
        return messages.already(found, receipt, table.uri)
    if undone is None and receipt.id in trail.undone:
        return _with_transaction(table, context, run, trail)
    return outcomes.already_without_receipt()


def _at_least_once(table: SparkTable, context: OutputContext, run: Callable[[], list[Any] | None]) -> WriteResult:
    """Run a merge that can carry no receipt, unless one that follows an earlier attempt's merge is found."""
    receipt = context.receipt
    if receipt.progress is not None:
        if (done := cursors.committed(table, receipt)) is not None:
            return done
        outcome = run()
        rows = outcome[0]["num_affected_rows"] if outcome else None
        return cursors.note(table, receipt, Left("merge"), uuid.uuid4().hex) or WriteResult(None, rows, _BUILDER)
    trail = table.find(receipt.id) if receipt.attempt > 1 else Trail()
    if (found := trail.found.get(receipt.id)) is not None and found.left.kind != "none":
        return messages.already(found, receipt, table.uri, is_newest=found.last == trail.newest)
    outcome = run()
    write.add_receipt(table, receipt, Left("merge"))
    count = outcome[0]["num_affected_rows"] if outcome else None
    return WriteResult(None, count, _BUILDER)


def _check(target: FrameWrite, merge: DeltaMerge, schema: Any) -> None:
    """Raise RunError if the columns of the source, the clauses and the table do not fit together."""
    from pyspark.sql.types import StructField

    source, grows = merge.source, target.schema == "add-columns"
    known = [*schema.names, *(source.columns if grows else ())]
    merge.refuse_unknown(source.columns, known, task=target.task, one=str.lower)
    pairs = merge.copied(source.columns, one=str.lower)
    given = [StructField(column, source.schema[name].dataType) for column, name in pairs]
    # The table may have columns that the source lacks: they keep their values, or are null.
    schemas.check([*schema, *given], schema, policy=target.schema, uri=target.table.uri, whole=False, fills=False)


def _rehearse(table: SparkTable, merge: DeltaMerge, view: str, *, there: bool) -> None:
    """Let Spark analyse all conditions and values: its errors for a MERGE are less clear, and come too late."""
    source, target = f"{view} AS {SOURCE}", f"{table.sql if there else view} AS {TARGET}"
    places = {
        "matched": f"{source} JOIN {target} ON {merge.condition('`')}",
        "not matched": source,
        "not matched by source": target,
    }
    for kind, place in places.items():
        steps = [clause for clause in merge.steps if clause.kind == kind]
        parts = [part for clause in steps for part in (clause.predicate, *(clause.values or {}).values())]
        written = [f"({part})" for part in parts if part is not None and part.strip().upper() != "DEFAULT"]
        if written or kind == "matched":
            _ = table.spark.sql(f"SELECT {', '.join(written) or 1} FROM {place}").schema  # noqa: S608 - the author's


def _grow(target: FrameWrite, merge: DeltaMerge) -> None:
    """Add columns, and fields of structs, that clauses fill and the table lacks, if it may grow."""
    there = {field.name.lower(): field.dataType for field in target.table.frame().schema}
    filled = {column.lower() for column, _ in merge.copied(merge.source.columns, one=str.lower)}
    filled |= {column.lower() for clause in merge.steps for column in clause.values or ()}
    given = [(field.name, field.dataType, there.get(field.name.lower())) for field in merge.source.schema]
    if new := [
        name for name, kind, known in given if name.lower() in filled and (known is None or schemas.grows(kind, known))
    ]:
        empty = merge.source.select(*map(quoted, new)).limit(0)
        write.append(target.table, empty, {"mergeSchema": "true"})


@contextmanager
def _view(spark: Any, frame: Any) -> Iterator[str]:
    """Yield the name of a temporary view of `frame`."""
    name = f"dbxdec_{uuid.uuid4().hex}"
    frame.createOrReplaceTempView(name)
    try:
        yield name
    finally:
        spark.catalog.dropTempView(name)


def statement(table: SparkTable, merge: DeltaMerge, view: str, mark: str = "") -> str:
    """Return the merge as SQL, which both classic sessions and Connect take.

    `mark` is a column of the view that is always true.
    """
    marked = f" AND {SOURCE}.{quoted(mark)}" if mark else ""
    on = f"({merge.condition('`')}){marked}"
    lines = [f"MERGE INTO {table.sql} AS {TARGET}", f"USING {view} AS {SOURCE}", f"ON {on}"]
    for kind in _KINDS:
        for clause in (step for step in merge.steps if step.kind == kind):
            lines.append(_clause(clause, merge.source.columns))
            if clause.predicate is None:
                break  # it takes all remaining rows, and Spark refuses further clauses
    return "\n".join(lines)


def _clause(clause: Clause, columns: list[str]) -> str:
    condition = f" AND ({clause.predicate})" if clause.predicate is not None else ""
    but = {name.lower() for name in clause.except_cols}
    values = clause.values
    if values is None:
        values = {name: f"{SOURCE}.{quoted(name)}" for name in columns if name.lower() not in but}
    match clause.action:
        case "delete":
            action = "DELETE"
        case "update":
            action = "UPDATE SET " + ", ".join(f"{TARGET}.{quoted(name)} = {value}" for name, value in values.items())
        case _:
            names = ", ".join(map(quoted, values))
            action = f"INSERT ({names}) VALUES ({', '.join(values.values())})"  # noqa: S608 - SQL of the author
    return f"WHEN {clause.kind.upper()}{condition} THEN {action}"
