"""What a reader of Spark's gets of one commit: whether it is still there, and what it has added."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.base import log, tell
from dbxdec.io_managers.delta import ADDS_ONLY
from dbxdec.io_managers.spark_log import gone
from dbxdec.io_managers.spark_session import first_line, is_connect, is_gone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbxdec.io_managers.base import WriteId
    from dbxdec.io_managers.spark_log import Commit, SparkTable

_LOOKED_AT = 100


def newest(table: SparkTable) -> Any:
    """The table as it is now: Delta would look for a newer version in each query that is made of the frame.

    A view, and a table that can't be read at a version, are what they are in each query.
    """
    frame = table.frame()
    try:
        version = table.version()
        frame = table.frame(version)
    except Exception as error:  # noqa: BLE001 - each kind of view and table has an error of its own
        log.debug("%s is not read at one version: %s", table.uri, first_line(error))
    else:
        tell(version=version)
    return frame


def pinned(table: SparkTable, commit: Commit) -> Any:
    """The table at the version of `commit`. Raises RunError where it has been vacuumed."""
    frame = table.frame(commit.version)
    if commit.version < commit.newest and not is_connect(table.spark):
        # Only files that a later version has dropped can be gone, and Spark would say so in the task's own query.
        dropped = set(frame.inputFiles()) - set(table.frame().inputFiles())
        for uri in sorted(dropped)[:_LOOKED_AT]:
            if not _exists(table.spark, uri):
                raise gone(table.uri, commit.version, f"{uri} does not exist")
    return frame


def _exists(spark: Any, uri: str) -> bool:
    path = spark._jvm.org.apache.hadoop.fs.Path(spark._jvm.java.net.URI(uri))
    return bool(path.getFileSystem(spark._jsc.hadoopConfiguration()).exists(path))


def added(table: SparkTable, commits: Iterable[Commit], parameter: str) -> Any:
    """The rows that `commits`, the newest first, have added: of each iteration those of its newest one.

    A commit of a merge holds rewritten rows beside its own: its rows are known only where the table keeps a change data
    feed (Delta protocol, "Change Data Files"). Raises RunError for one without, and where the log has been cleaned.
    """
    newest: dict[WriteId, Commit] = {}
    for commit in commits:
        newest.setdefault(commit.receipt.id, commit)
    frames = [_added(table, commit, parameter) for commit in newest.values() if commit.wrote]
    return functools.reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)


def _added(table: SparkTable, commit: Commit, parameter: str) -> Any:
    from pyspark.sql import functions

    if commit.operation not in ADDS_ONLY or commit.metrics.get("numCopiedRows"):
        return _changes(table, commit, parameter)
    frame = pinned(table, commit)
    if commit.version == 0:
        return frame
    try:
        before = {_name(uri) for uri in table.frame(commit.version - 1).inputFiles()}
    except RunError as error:
        if error.__cause__ is None or not is_gone(error.__cause__):
            raise
        raise RunError(
            f"the log of {table.uri} no longer holds version {commit.version - 1}, and `{parameter}` asks for what the "
            "one after it has added",
            hint="it has been cleaned (`delta.logRetentionDuration`): run the producer again",
        ) from error
    names = {_name(uri) for uri in frame.inputFiles()} - before
    return frame.where(functions.col("_metadata.file_name").isin(sorted(names)))


def _name(uri: str) -> str:
    # The names of Delta's files are unique in a table, whatever partition they are in.
    return uri.rpartition("/")[2]


def _changes(table: SparkTable, commit: Commit, parameter: str) -> Any:
    detail = table.detail()
    if detail is None or detail.properties.get("delta.enableChangeDataFeed") != "true":
        raise RunError(
            f"`{parameter}` asks for what version {commit.version} of {table.uri} has added, and a {commit.operation} "
            "rewrites rows that were there before",
            hint="set the table's property `delta.enableChangeDataFeed` to true, or read the whole result",
        )
    version = str(commit.version)
    options = {"readChangeFeed": "true", "startingVersion": version, "endingVersion": version}
    reader = table.spark.read.options(**table.options, **options)
    try:
        feed = reader.table(table.sql) if table.named else reader.format("delta").load(table.uri)
    except Exception as error:
        if is_gone(error):
            raise gone(table.uri, commit.version, first_line(error)) from error
        raise
    columns = [name for name in feed.columns if not name.startswith(("_change_type", "_commit_"))]
    return feed.where("_change_type IN ('insert', 'update_postimage')").select(*(f"`{name}`" for name in columns))
