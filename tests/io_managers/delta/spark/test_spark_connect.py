"""The Spark IoManagers with Spark Connect: the same results without a JVM to talk to."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from repository import TESTS
from spark_tools import needs_spark

LACKING = [name for name in ("grpc", "pandas", "pyarrow", "zstandard") if importlib.util.find_spec(name) is None]
pytestmark = [
    *needs_spark,
    pytest.mark.skipif(bool(LACKING), reason=f"spark: pyspark[connect] is not installed ({', '.join(LACKING)})"),
]

# A process has either a classic session or one of Connect.
PROGRAM = textwrap.dedent(
    """
    import os, sys, warnings
    tools, lake = sys.argv[1:]
    sys.path.insert(0, tools)
    os.chdir(lake)
    warnings.simplefilter("ignore")
    from pathlib import Path
    import spark_tools
    from spark_tools import Place, output, receipt, rows, wanted
    from dbxdec.errors import RunError, TargetExistsError
    from dbxdec.io_managers.delta.merge import DeltaMerge
    from dbxdec.io_managers.delta.spark.manager import SparkDeltaIoManager
    from dbxdec.io_managers.files.spark import SparkParquetIoManager
    from dbxdec.io_managers.spark_session import session
    from dbxdec.io_managers.delta.spark.catalog import SparkTableIoManager

    def refuses(kind, act):
        try:
            act()
        except kind:
            return
        raise AssertionError(f"no {kind.__name__}")

    spark = spark_tools.start_connect(Path(lake, "warehouse"))
    assert session() is spark
    for kind, uri in ((SparkDeltaIoManager, lake + "/t"), (SparkTableIoManager, "spark_catalog.default.t")):
        t, m, p = (Place(spark, uri + name, kind) for name in "tmp")
        t.write("error", "1", t.frame(1))
        refuses(TargetExistsError, lambda: t.manager("error").preflight(output(t.uri, receipt("2"))))
        for attempt in (1, 2):
            result = t.write("append", "2", t.frame(2), attempt)
        assert result.note == "already written by attempt 1", result
        assert t.read("1") == [1] and t.stored == [1, 2]
        assert rows(t.manager().read(wanted(t.uri, receipt("2")))) == [(2,)]
        refuses(RunError, lambda: t.write("append", "3", t.sql("'x' AS x")))
        t.write("overwrite", "3", t.frame(3))
        assert t.stored == [3]
        merge = DeltaMerge(m.pairs((1, 1)), on="k").when_matched_update({"x": "9"}).when_not_matched_insert_all()
        assert m.write("error", "1", merge).rows == 1
        assert m.write("error", "1", merge, 2).note == "already written by attempt 1"
        assert rows(m.manager().read(wanted(m.uri, receipt("1")))) == [(1, 1)]
        p.write("overwrite", "1", p.pairs((1, 1), (2, 2)), partition_by="k")
        p.write("overwrite", "2", p.pairs((1, 7)), partition_by="k")
        p.write("overwrite", "3", p.pairs((2, 9)), replace={"k": 2})
        assert rows(p.manager().read(wanted(p.uri, receipt("3")))) == [(2, 9)]
        assert rows(p.manager().read(wanted(p.uri, receipt("3"), rows="table"))) == [(1, 7), (2, 9)]
    files = SparkParquetIoManager("unused", mode="overwrite")
    for run in (1, 2):
        files.write(output(lake + "/files", receipt(str(run))), spark.range(run))
    assert rows(files.read(wanted(lake + "/files", receipt("2")))) == [(0,), (1,)]
    refuses(RunError, lambda: files.write(output("s3://bucket/files"), spark.range(1)))
    print("all well", flush=True)
    os._exit(0)  # the server is a process of its own, and Spark waits for it
    """
)


def test_everything_but_builders_works_with_spark_connect(tmp_path: Path) -> None:
    """Modes, exactly once, pinned reads, merges, partitions, slices, at paths and in a catalog, and Parquet files."""
    command = [sys.executable, "-c", PROGRAM, str(TESTS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "all well" in done.stdout, done.stdout + done.stderr
