"""Keys in the log of tables that Spark writes: in the transaction identifier of the commit of the rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import spark_tools
from dbxdec import DeltaMerge
from dbxdec.io_managers import SparkDeltaIoManager
from dbxdec.io_managers.delta import key_log
from spark_tools import Place, needs_spark, output, receipt

pytestmark = needs_spark
spark, path = spark_tools.spark, spark_tools.path
RETURNS = ("pyspark.DataFrame", "dbxdec.DeltaMerge", "types.NoneType")


def write(place: Place, key: str, value: Any, mode: Any = "append", run: str = "", attempt: int = 1) -> None:
    """Store the result of the run for a key."""
    given = receipt(run or f"run-{key}", attempt=attempt)
    given = replace(given, id=replace(given.id, key=key))
    place.manager(mode).write(output(place.uri, given, RETURNS), value)


def done(place: Place) -> set[str]:
    """The keys that are there."""
    log = SparkDeltaIoManager("unused").key_log(place.uri)
    return set() if log is None else key_log.done(log.standing(), "")[0]


def test_each_kind_of_write_says_its_key(path: Place) -> None:
    """Appends and their retries, merges, and results without rows."""
    write(path, "day=1", path.frame(1))
    write(path, "day=1", path.frame(1), attempt=2)
    write(path, "day=2", DeltaMerge(path.frame(2), on="x").when_not_matched_insert_all())
    write(path, "day=3", None)
    write(path, "", path.frame(4))
    assert done(path) == {"day=1", "day=2", "day=3"}
    assert path.stored == [1, 2, 4]


def test_a_repair_of_a_done_key_writes_again(path: Place) -> None:
    """Spark drops a commit whose identifier has no higher version: each run has an identifier of its own."""
    write(path, "day=1", path.frame(1), "overwrite", run="2")
    write(path, "day=1", path.frame(5), "overwrite", run="1")
    assert path.stored == [5]
    assert done(path) == {"day=1"}


@pytest.mark.slow
def test_what_another_program_replaces_has_no_key_until_it_is_restored(path: Place) -> None:
    """Spark keeps the identifiers; the log says that the table was replaced, and what a RESTORE has brought back."""
    write(path, "day=1", path.frame(1))
    path.frame(9).write.format("delta").mode("overwrite").save(path.uri)
    assert done(path) == set()
    write(path, "day=2", path.frame(2))
    assert done(path) == {"day=2"}
    path.spark.sql(f"RESTORE TABLE delta.`{path.uri}` TO VERSION AS OF 0")
    assert done(path) == {"day=1"}
