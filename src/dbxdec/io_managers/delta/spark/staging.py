"""Rows of a write that are stored apart first, where all of them must be known before any is committed.

Kept frames (`persist`) would not do: serverless compute has none, and elsewhere a lost machine makes Spark run the
query again, which may give other rows.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers import spark_start
from dbxdec.io_managers.base import log
from dbxdec.io_managers.spark_frames import escaped, quoted
from dbxdec.io_managers.spark_session import fail, first_line, is_connect
from dbxdec.model import places
from dbxdec.records import dataclass
from dbxdec.support import digests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.io_managers.contexts import Receipt
    from dbxdec.io_managers.delta.spark.log import SparkTable

_FOLDER = "_dbxdec/staged"
_NAME = "dbxdec_staged"


@contextmanager
def staged(table: SparkTable, frame: Any, receipt: Receipt) -> Iterator[Any]:
    """Store the rows of `frame`, whose query runs once, and yield them as they are stored; they are gone afterwards.

    They lie beside the table: in its own folder Delta would make no table. Those of a table of the catalog are another
    table of its schema, since the platform lets nobody write beside a managed one.
    """
    own = place(table, receipt, receipt.attempt)
    try:
        yield own.store(frame)
    finally:
        own.remove()


def remove_earlier(table: SparkTable, receipt: Receipt) -> None:
    """Remove what killed attempts before this one have left, also where they had committed all they had to."""
    for attempt in range(1, receipt.attempt):
        place(table, receipt, attempt).remove()


def place(table: SparkTable, receipt: Receipt, attempt: int) -> Folder | Apart:
    """Return where the rows of an attempt are stored."""
    name = f"{digests.of_text(f'{table.uri} {receipt.id.transaction}')[:16]}_{attempt}"
    if table.named:
        schema, _, _ = table.sql.rpartition(".")
        return Apart(table.spark, f"{schema}.{_NAME}_{name}" if schema else f"{_NAME}_{name}")
    is_seen = _is_seen(table)
    if not is_seen and is_connect(table.spark):
        return Apart(table.spark, f"{_NAME}_{name}")  # of the session's schema: nobody here could remove files
    beside, _, _ = table.uri.rstrip("/").rpartition("/")
    return Folder(table.spark, f"{beside}/{_FOLDER}/{name}", is_seen)


def _is_seen(table: SparkTable) -> bool:
    """Return whether this process has the paths that Spark has."""
    if places.is_remote(table.uri):
        return False
    if places.is_databricks():
        return table.uri.startswith("/Volumes/")  # others are of DBFS
    return not (is_connect(table.spark) and spark_start.has_databricks_connect())


@dataclass(frozen=True)
class Folder:
    """Parquet files in a folder."""

    spark: Any
    uri: str
    is_seen: bool

    def store(self, frame: Any) -> Any:
        plain = _plain(frame)
        try:
            plain.write.mode("overwrite").parquet(self.uri)
        except Exception as error:  # noqa: BLE001 - it is raised again
            fail(error, self.uri, "write")
        # A later attempt may remove the files while this one reads them: then it must not go on with the others.
        strict = {"ignoreMissingFiles": "false", "ignoreCorruptFiles": "false"}
        return _named(self.spark.read.options(**strict).schema(plain.schema).parquet(escaped(self.uri)), frame)

    def remove(self) -> None:
        """Remove the folder, and those above it that are empty then and have no other use."""
        if not self.is_seen:
            self._remove_by_spark()
            return
        folder = Path(places.path_of(self.uri))
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # others have rows there
            for parent in list(folder.parents)[:2]:
                parent.rmdir()

    def _remove_by_spark(self) -> None:
        try:
            path = self.spark._jvm.org.apache.hadoop.fs.Path(self.uri)
            path.getFileSystem(self.spark._jsc.hadoopConfiguration()).delete(path, True)
        except Exception as error:  # noqa: BLE001 - of a storage: the write itself is done, or tells its own error
            log.warning("%s has rows that nobody needs any more, and can't be removed: %s", self.uri, first_line(error))


@dataclass(frozen=True)
class Apart:
    """A table of the catalog."""

    spark: Any
    sql: str

    def store(self, frame: Any) -> Any:
        plain = _plain(frame)
        try:
            # What may be there is of a killed process, in a folder that a table can't replace.
            self.remove()
            plain.write.format("delta").saveAsTable(self.sql)
        except Exception as error:  # noqa: BLE001 - it is raised again
            fail(error, self.sql, "write")
        return _named(self.spark.read.table(self.sql), frame)

    def remove(self) -> None:
        try:
            self.spark.sql(f"DROP TABLE IF EXISTS {self.sql}").collect()
        except Exception as error:  # noqa: BLE001 - as with files
            log.warning("the table %s, which nobody needs any more, can't be dropped: %s", self.sql, first_line(error))


def _plain(frame: Any) -> Any:
    """Return `frame` with names that any storage takes, and without what columns say of the table they came from."""
    from pyspark.sql import functions

    columns = []
    for i, field in enumerate(frame.schema):
        column = functions.col(quoted(field.name))
        columns.append((functions.coalesce(column) if field.metadata else column).alias(f"c{i}"))
    return frame.select(*columns)


def _named(stored: Any, frame: Any) -> Any:
    """Return stored rows with the columns of `frame`."""
    found = stored.toDF(*frame.columns)
    for field in frame.schema:
        if field.metadata:
            found = found.withMetadata(field.name, field.metadata)
    return found
