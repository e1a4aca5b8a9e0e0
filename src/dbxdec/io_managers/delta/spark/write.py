"""The single commands that `store` and the merges send to Spark: create, append, overwrite, add a receipt and so on."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.base import log
from dbxdec.io_managers.contexts import Receipt
from dbxdec.io_managers.delta import epochs
from dbxdec.io_managers.delta.spark import predicates
from dbxdec.io_managers.delta.spark.log import History, SparkTable
from dbxdec.io_managers.spark_frames import plain_literal, quoted
from dbxdec.io_managers.spark_session import condition, fail, first_line, settings, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dbxdec.io_managers.contexts import WriteId
    from dbxdec.io_managers.delta.receipts import Left, Trail
    from dbxdec.io_managers.delta.spark.log import Detail

USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
TXN_APP_ID = "spark.databricks.delta.write.txnAppId"
TXN_VERSION = "spark.databricks.delta.write.txnVersion"
MADE_FOR = "dbxdec.created"
"""The table property that names the write for which a table was made without rows."""
_PROOF = frozenset({"userMetadata", "txnAppId", "txnVersion", "partitionOverwriteMode"})
_TXN = "txn"
_BY_TYPE = "spark.databricks.delta.dynamicPartitionOverwrite.parsePartitionValues"
_NO_EMPTY_COMMITS = "spark.databricks.delta.skipRecordingEmptyCommits"


def write_options(receipt: Receipt, left: Left, *, once: int | None = None, **facts: Any) -> dict[str, str]:
    """Return writer options that put `receipt`, the write's result and more `facts` into the commit.

    With `once` they also carry the write's transaction identifier, at this version (Delta protocol, "Transaction
    identifiers"). Spark drops a write whose version is not above the last one's. A commit has one identifier, and that
    of the task's progress comes first: the receipt still tells the write itself.
    """
    if receipt.progress is not None:
        wanted = receipt.progress
        metadata = receipt.to_metadata(**left.facts(), **facts)
        return {"userMetadata": metadata, "txnAppId": wanted.identifier, "txnVersion": str(wanted.number)}
    if once is None:
        return {"userMetadata": receipt.to_metadata(**left.facts(), **facts)}
    metadata = receipt.to_metadata(**left.facts(), **facts, **({_TXN: once} if once > 1 else {}))
    return {"userMetadata": metadata, "txnAppId": receipt.id.transaction, "txnVersion": str(once)}


def transaction_settings(receipt: Receipt, left: Left, *, once: int, **facts: Any) -> dict[str, str]:
    """Return the same as settings of the session, for commands that take no options."""
    options = write_options(receipt, left, once=once, **facts)
    return {
        USER_METADATA: options["userMetadata"],
        TXN_APP_ID: options["txnAppId"],
        TXN_VERSION: options["txnVersion"],
    }


def next_transaction(trail: Trail, receipt: Receipt) -> int:
    """Return the version of the write's transaction: above that of a commit which a RESTORE has undone.

    The table keeps the identifier over a RESTORE, so Spark would drop a write with the same version.
    """
    undone = trail.undone.get(receipt.id)
    return 1 if undone is None else int(undone[0].facts.get(_TXN, 1)) + 1


def rising_transaction(table: SparkTable, receipt: Receipt) -> int:
    """Return a version of the write's transaction for an overwrite, which each attempt does again.

    It is above those of all earlier attempts: Spark drops a write in silence whose version is not above the last one.
    """
    now = time.time_ns() // 1_000_000
    if receipt.attempt <= 1:
        return now
    trail = table.find(receipt.id)
    undone = trail.undone.get(receipt.id)
    earlier = [trail.found.get(receipt.id), undone and undone[0]]
    return max([now, *(int(one.facts.get(_TXN, 1)) + 1 for one in earlier if one is not None)])


def create(table: SparkTable, frame: Any, mode: str, partitions: Sequence[str], options: Mapping[str, str]) -> None:
    """Make the table of `frame`; `mode` decides what Spark does if another writer made it meanwhile."""
    writer = frame.write.format("delta").mode(mode).options(**options)
    if partitions:
        writer = writer.partitionBy(*partitions)
    if not table.named:
        writer.save(table.uri)
        return
    # Delta ignores the option `userMetadata` in the commit that makes a table of the catalog, but not the setting.
    given = options.get("userMetadata")
    with settings(table.spark, {USER_METADATA: given} if given else {}) as taken:
        if taken:
            writer.saveAsTable(table.sql)
            return
    _create_shell(table, frame, partitions, options)
    append(table, frame, options)


def _create_shell(table: SparkTable, frame: Any, partitions: Sequence[str], options: Mapping[str, str]) -> None:
    """Make the table without rows, marked with the write that fills it.

    Compute that accepts no settings leaves the receipt out of a commit that makes a table.
    """
    proof = Receipt.from_metadata(options["userMetadata"])
    assert proof is not None  # noqa: S101 - the caller put it there
    new = frame.limit(0).writeTo(table.sql).using("delta").tableProperty(MADE_FOR, proof[0].id.transaction)
    for name, value in options.items():
        if name not in _PROOF:
            new = new.option(name, value)
    if partitions:
        from pyspark.sql import functions

        new = new.partitionedBy(*(functions.col(quoted(name)) for name in partitions))
    new.create()


def is_shell(table: SparkTable, detail: Detail, receipt: Receipt) -> bool:
    """Return whether an earlier attempt of this write made the table and did not get to fill it."""
    return detail.properties.get(MADE_FOR) == receipt.id.transaction and table.is_empty()


def orphaned(table: SparkTable, error: BaseException) -> SparkTable | None:
    """Return the table without a catalog entry where a table of the catalog is to be made; None without one."""
    if not condition(error).startswith("DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION"):
        return None
    ask: Any = getattr(error, "getMessageParameters", None)
    place = (ask() or {}).get("tableLocation") if ask else None
    orphan = replace(table, uri=place, named=False) if place else None
    return orphan if orphan is not None and orphan.detail() is not None else None


def append(table: SparkTable, frame: Any, options: Mapping[str, str]) -> None:
    """Add the rows of `frame`."""
    writer = frame.write.format("delta").mode("append").options(**options)
    if table.named:
        writer.saveAsTable(table.sql)
    else:
        writer.save(table.uri)


def overwrite(table: SparkTable, frame: Any, detail: Detail, options: Mapping[str, str]) -> None:
    """Replace all rows, whatever the session's setting for partitions."""
    options, partitions = {**options, "partitionOverwriteMode": "static"}, detail.partitions
    if detail.clustering and options.get("overwriteSchema") != "true":
        # Delta's other ways to overwrite a table end its clustering.
        _replace_where(table, frame, "true", options)
        return
    if table.named and options.get("overwriteSchema") != "true":
        from pyspark.sql import functions

        # saveAsTable would also replace the entry in the catalog, and lose the order of partition columns.
        frame.writeTo(table.sql).options(**options).overwrite(functions.lit(True))
        return
    writer = frame.write.format("delta").mode("overwrite").options(**options)
    if partitions:
        writer = writer.partitionBy(*partitions)
    if table.named:
        writer.saveAsTable(table.sql)
    else:
        writer.save(table.uri)


def overwrite_partitions(table: SparkTable, frame: Any, partitions: Sequence[str], options: Mapping[str, str]) -> None:
    """Replace the partitions that are in the data: those with exactly its tuples of values, null included.

    Delta's own dynamic overwrite does it in one pass over the data and learns the tuples from the files written. It is
    right only under two conditions. It must compare values by their types, since another writer, or another time zone
    of the session, spells timestamps and decimals differently. And there must be no empty strings, which delta-rs
    writes and which Spark treats as another partition than null.

    Otherwise the tuples become a predicate. Delta wants that before the first row, so Spark keeps the frame: running
    its query twice would double the work, and might give other rows.
    """
    if is_one_pass(table, frame, partitions):
        if table.named:
            frame.writeTo(table.sql).options(**options).overwritePartitions()
        else:
            options = {**options, "partitionOverwriteMode": "dynamic"}
            frame.write.format("delta").mode("overwrite").options(**options).save(table.uri)
        return
    with kept(frame):
        tuples = predicates.distinct_values(frame, partitions)
        if tuples:
            kinds = {field.name: field.dataType.simpleString() for field in frame.schema}
            names = {name.lower(): name for name in kinds}
            columns = [names[name.lower()] for name in partitions]
            overwrite_where(table, frame, predicates.predicate(columns, tuples, kinds, columns), options)


def is_one_pass(table: SparkTable, frame: Any, partitions: Sequence[str]) -> bool:
    """Return whether Delta's own overwrite of partitions is right, which runs the query of `frame` once."""
    return _compares_by_type(table.spark) and not _has_empty_string(table, frame, partitions)


def _has_empty_string(table: SparkTable, frame: Any, partitions: Sequence[str]) -> bool:
    """Return whether a partition has an empty string. Without one Spark looks in the log alone."""
    parts = {name.lower() for name in partitions}
    texts = [f.name for f in frame.schema if f.name.lower() in parts and f.dataType.typeName() == "string"]
    where = " OR ".join(f"{quoted(name)} = ''" for name in texts)
    return bool(texts) and not table.frame().where(where).select(quoted(texts[0])).limit(1).isEmpty()


def _compares_by_type(spark: Any) -> bool:
    return _known(spark, _BY_TYPE) == "true"


def _known(spark: Any, setting: str) -> str | None:
    """Return the value of a setting, or its default; None if this Delta doesn't know it."""
    try:
        return str(spark.conf.get(setting))
    except Exception:  # noqa: BLE001 - classic and Connect sessions raise different errors
        return None


@contextmanager
def kept(frame: Any) -> Iterator[None]:
    """Let Spark keep the rows of `frame`, in memory and on disk, for the duration of the block."""
    try:
        frame.persist()
    except Exception as error:  # noqa: BLE001 - serverless compute keeps no frames, and raises its own error
        log.warning("this compute keeps no frames, so the query of the task runs twice: %s", first_line(error))
        yield
        return
    try:
        yield
    finally:
        frame.unpersist()


_VARIABLE = b"${".hex()
"""The hex digits of `${` in a predicate, which Delta may write out and read as SQL. Spark replaces `${...}` in that."""


def overwrite_where(
    table: SparkTable, frame: Any, predicate: str, options: Mapping[str, str], *, clustered: bool = False
) -> None:
    """Replace the rows for which `predicate` holds. Delta refuses data for which it does not hold."""
    if table.named and not clustered and _VARIABLE not in predicate:
        from pyspark.sql import functions

        frame.writeTo(table.sql).options(**options).overwrite(functions.expr(predicate))
        return
    _replace_where(table, frame, predicate, {**options, "partitionOverwriteMode": "static"})


def _replace_where(table: SparkTable, frame: Any, predicate: str, options: Mapping[str, str]) -> None:
    writer = frame.write.format("delta").mode("overwrite").options(**{**options, "replaceWhere": predicate})
    if table.named:
        writer.saveAsTable(table.sql)
    else:
        writer.save(table.uri)


def add_receipt(table: SparkTable, receipt: Receipt, left: Left, **facts: Any) -> None:
    """Commit `receipt` without any data. Spark drops it where another run has taken the number of its progress."""
    options = write_options(receipt, left, **facts)
    if receipt.progress is not None:
        _append_nothing(table, options)
        return
    # What was there before is nothing that this key has.
    write = replace(receipt.id, key="") if left.kind == "kept" else receipt.id
    if write.key:
        _append_nothing(table, options | _empty_transaction(write))
        return
    with _empty_commits(table.spark) as taken:
        # A separate transaction identifier is an action, and conflicts with nothing. But Delta looks for the last one
        # in the whole state of the table, which takes longer than the commit.
        _append_nothing(table, options if taken else options | _empty_transaction(write))


def add_key(table: SparkTable, receipt: Receipt) -> None:
    """Commit the key of a write alone, for one whose own commit can't carry an identifier."""
    _append_nothing(table, _empty_transaction(receipt.id))


def _empty_transaction(write: WriteId) -> dict[str, str]:
    return {"txnAppId": write.empty_transaction, "txnVersion": str(time.time_ns() // 1_000_000)}


@contextmanager
def _empty_commits(spark: Any) -> Iterator[bool]:
    """Let Delta make commits without an action for the duration of the block; yields False if it makes none."""
    if _known(spark, _NO_EMPTY_COMMITS) is None:  # it would take the setting, and make no commit
        yield False
        return
    with settings(spark, {_NO_EMPTY_COMMITS: "false"}) as taken:
        yield taken


def add_identifier(table: SparkTable, name: str, version: int) -> None:
    """Commit a transaction identifier alone, at this version."""
    _append_nothing(table, {"userMetadata": name, "txnAppId": name, "txnVersion": str(version)})


def note(table: SparkTable, *, before: int, has_older_keys: Callable[[], bool]) -> None:
    """Note what has taken keys away before a write with a key, which began at `before` (see `epochs`)."""
    commits = epochs.needed(History(table).known())
    for name in epochs.notes_of(commits, before=before, has_older_keys=has_older_keys):
        _append_nothing(table, {"userMetadata": name, "txnAppId": name, "txnVersion": "1"})


def _append_nothing(table: SparkTable, options: Mapping[str, str]) -> None:
    """Append no rows. A table has at most one column whose values a write may not give, and Delta names it."""
    nothing = table.frame().limit(0)
    try:
        append(table, nothing, options)
    except Exception as error:
        if not condition(error).startswith("DELTA_IDENTITY_COLUMNS_EXPLICIT_INSERT"):
            raise
        named = re.search(r"AS IDENTITY column (.+?) is not supported", text_of(error))
        append(table, nothing.drop(*([named[1].strip("`")] if named else [])), options)


def set_property(table: SparkTable, name: str, value: str) -> None:
    """Set a property of the table."""
    table.spark.sql(f"ALTER TABLE {table.sql} SET TBLPROPERTIES ('{name}' = {plain_literal(value)})")


def check_writable(table: SparkTable) -> None:
    """Raise RunError if this Spark can't write the table.

    It adds no rows: Delta checks the table and commits nothing.
    """
    try:
        _append_nothing(table, {})
    except Exception as error:  # noqa: BLE001 - it is raised again
        fail(error, table.uri, "write")
