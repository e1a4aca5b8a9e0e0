"""Real writer processes through Spark: at once, and killed at chosen points, then retried."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import spark_tools
from dbxdec.io_managers.delta.merge import DeltaMerge
from repository import TESTS
from spark_tools import Place, needs_own_spark, receipt, rows, wanted

pytestmark = [*needs_own_spark, pytest.mark.classic]
spark, path = spark_tools.spark, spark_tools.path

# The JVM is in the process group of the Python that started it: both die at once.
PROGRAM = textwrap.dedent(
    """
    import os, signal, sys, warnings
    from pathlib import Path
    tools, lake, attempt, jars, end = sys.argv[1:]
    sys.path.insert(0, tools)
    import spark_tools
    from dbxdec.io_managers.delta.merge import DeltaMerge
    from dbxdec.io_managers.delta.spark.manager import SparkDeltaIoManager
    from dbxdec.io_managers.delta.spark.log import SparkTable

    spark = spark_tools.start(Path(lake, f"warehouse{attempt}"), jars)
    rows = spark_tools.Place(spark, lake + "/rows", SparkDeltaIoManager)
    sums = spark_tools.Place(spark, lake + "/sums", SparkDeltaIoManager)

    def die():
        os.killpg(0, signal.SIGKILL)

    find = SparkTable.find

    def die_after_the_commit(self, write, *, since=0):
        # Only who has just committed asks for its own receipt since a moment.
        return die() if since else find(self, write)

    print("ready", flush=True)
    sys.stdin.readline()
    for run in range(3):
        rows.write("append", str(run), rows.frame(run), int(attempt))
    print("written", flush=True)
    sys.stdin.readline()
    if end == "midway":
        rows.write("append", "7", rows.midway("7", die), int(attempt))
    elif end == "committed":
        SparkTable.find = die_after_the_commit
        rows.write("append", "8", rows.frame(8), int(attempt))
    else:
        SparkTable.find = die_after_the_commit
        merge = DeltaMerge(sums.pairs((1, 1)), on="k").when_matched_update({"x": "target.x + source.x"})
        sums.write("append", "9", merge, int(attempt))
    """
)


class Writer:
    """A process of its own, which goes on at each `go`."""

    def __init__(self, lake: Path, attempt: int, jars: str, end: str) -> None:
        command = [sys.executable, "-c", PROGRAM, str(TESTS), str(lake), str(attempt), jars, end]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def expect(self, line: str) -> None:
        assert self.process.stdout is not None
        # Spark has things of its own to say.
        for said in self.process.stdout:
            if said.strip() == line:
                return
        raise AssertionError(f"the writer ended with {self.process.wait()} before {line!r}")

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def wait(self) -> int:
        self.process.communicate()
        return self.process.returncode


@pytest.mark.classic
def test_processes_at_once_and_killed_at_any_point_write_once(path: Place) -> None:
    """Three attempts at once, from a missing table on, append each run once; of what they were killed over, a retry
    after each leaves every row once: in the midst of a query, after an append's commit, after a merge's.
    """
    lake = Path(path.uri).parent
    rows_of, sums = (Place(path.spark, f"{lake}/{name}", path.kind) for name in ("rows", "sums"))
    sums.write("append", "0", sums.pairs((1, 10)))
    jars = path.spark.sparkContext.getConf().get("spark.jars")
    writers = [Writer(lake, number, jars, end) for number, end in enumerate(("midway", "committed", "merged"), 1)]
    for line in ("ready", "written"):
        for writer in writers:
            writer.expect(line)
        for writer in writers:
            writer.go()
    assert [writer.wait() for writer in writers] == [-signal.SIGKILL] * 3
    assert rows_of.stored == [0, 1, 2, 8]
    assert rows_of.write("append", "7", rows_of.frame(7), attempt=4).note == ""
    assert rows_of.write("append", "8", rows_of.frame(8), attempt=4).note == "already written by attempt 2"
    merge: Any = DeltaMerge(sums.pairs((1, 1)), on="k").when_matched_update({"x": "target.x + source.x"})
    assert sums.write("append", "9", merge, attempt=4).note == "already written by attempt 3"
    assert rows_of.stored == [0, 1, 2, 7, 8]
    assert rows(sums.manager().read(wanted(sums.uri, receipt("9")))) == [(1, 11)]
