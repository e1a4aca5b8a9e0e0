"""The keys of a table that only Spark can open, such as one of a catalog.

Spark reads the files of the log where the user may, as of an external table. Of a managed table of Unity Catalog nobody
may: then the receipts in its history tell, for as long as the log is kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dbxdec.io_managers.delta.epochs import needed
from dbxdec.io_managers.delta.key_log import Identifier, KeyLog, in_receipts
from dbxdec.io_managers.delta.spark.log import History
from dbxdec.io_managers.spark_frames import escaped, reader_of, string_literal

if TYPE_CHECKING:
    from dbxdec.io_managers.delta.spark.log import Detail, SparkTable

_SCHEMA = "txn STRUCT<appId: STRING, version: BIGINT, lastUpdated: BIGINT>"
_COMMIT = re.compile(r"/(\d{20})\.json$")


def read(table: SparkTable) -> KeyLog | None:
    """Return what the log of a table says of keys; None without a table. Raises RunError if Spark can't open it."""
    detail = table.detail()
    if detail is None:
        return None
    created = table.created()
    try:
        found = _in_files(table.spark, f"{detail.location.rstrip('/')}/_delta_log")
    except Exception:  # noqa: BLE001 - no permission on the files, or no such scheme
        commits = list(History(table).known())
        reaches_start = bool(commits) and commits[-1].version == 0
        since = None if reaches_start or not commits else commits[-1].timestamp
        return KeyLog([one for _, one in in_receipts(commits)], commits, created, since=since)
    return KeyLog(found, list(needed(History(table).known())), created)


def versions(spark: Any, detail: Detail, beginning: str) -> dict[str, int]:
    """Return the versions of the identifiers that begin so, the highest of each, in the files of a table's log.

    Only for identifiers whose versions never fall.
    """
    folder = f"{escaped(detail.location).rstrip('/')}/_delta_log"
    found: dict[str, int] = {}
    for row in _rows(spark, folder, f"startswith(txn.appId, {string_literal(beginning)})"):
        name, version = row["txn"]["appId"], row["txn"]["version"]
        found[name] = max(version, found.get(name, version))
    return found


def _rows(spark: Any, folder: str, where: str) -> list[Any]:
    """Return the identifiers of all commits and checkpoints, with the files that have them."""
    from pyspark.sql import functions

    def files(names: str) -> Any:
        return reader_of(spark, names).schema(_SCHEMA)

    path = functions.col("_metadata.file_path")
    chosen = [functions.col("txn"), path.alias("file")]
    commits, checkpoints = files("*.json").json(folder), files("*.checkpoint*.parquet").parquet(folder)
    return [row for frame in (commits, checkpoints) for row in frame.select(chosen).where(where).collect()]


def _in_files(spark: Any, folder: str) -> list[Identifier]:
    """Return the identifiers of all commits and checkpoints, the newest of each name."""
    found: dict[str, Identifier] = {}
    for row in _rows(spark, folder, "txn IS NOT NULL"):
        commit = _COMMIT.search(row["file"])
        one = Identifier(row["txn"]["appId"], int(commit[1]) if commit else None, row["txn"]["lastUpdated"])
        before = found.get(one.name)
        if before is None or (-1 if one.version is None else one.version) > (before.version or -1):
            found[one.name] = one
    return list(found.values())
