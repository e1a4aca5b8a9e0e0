"""What Spark IoManagers say before anything is written: tables they can't use, places that are not there, options."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import spark_tools
from dbxdec import bundle_variable
from dbxdec.errors import DbxdecError, RunError, SourceLocation
from dbxdec.io_managers.delta.spark.catalog import SparkTableIoManager
from dbxdec.io_managers.delta.spark.manager import SparkDelta, SparkDeltaIoManager
from dbxdec.io_managers.files.spark import SparkParquetIoManager
from dbxdec.io_managers.running import running
from dbxdec.io_managers.spark_session import explained, is_frame, session
from dbxdec.model import variables
from dbxdec.model.secrets import secret
from spark_tools import Place, needs_spark, output, receipt, wanted

spark, path, table, place = spark_tools.spark, spark_tools.path, spark_tools.table, spark_tools.place
KINDS = [SparkDeltaIoManager, SparkTableIoManager, SparkParquetIoManager]


def with_spark(test: Any) -> Any:
    for mark in needs_spark:
        test = mark(test)
    return test


@with_spark
def test_table_features_that_spark_lacks_are_named_before_the_function_runs(path: Place) -> None:
    """A feature for readers or for writers that this Delta does not know is named by preflight, and nothing changes."""
    for name, features in (("r", ["readerFeatures", "writerFeatures"]), ("w", ["writerFeatures"])):
        uri = path.uri + name
        Place(path.spark, uri, path.kind).write("append", "1", path.frame(1))
        protocol: dict[str, Any] = {"minReaderVersion": 3 if name == "r" else 1, "minWriterVersion": 7}
        action = {"protocol": protocol | {key: ["someNewThing"] for key in features}}
        log = Path(uri, "_delta_log")
        (log / f"{1:020}.json").write_text(json.dumps(action) + "\n")
        with pytest.raises(RunError, match=r"this Spark can't (read|write) the table .*someNewThing"):
            path.manager("append").preflight(output(uri))
        assert not (log / f"{2:020}.json").exists()


@with_spark
def test_a_table_with_known_features_is_tried_without_a_commit(path: Place) -> None:
    """Features beyond the oldest are tried by an append of no rows, which leaves no commit."""
    path.write("append", "1", path.frame(1), write_options={"delta.enableDeletionVectors": "true"})
    path.manager("append").preflight(output(path.uri, receipt("2")))
    assert len(list(Path(path.uri, "_delta_log").glob("*.json"))) == 1


@with_spark
@spark_tools.needs_made_columns
def test_a_look_at_a_table_with_an_identity_makes_no_commit(path: Place) -> None:
    """Delta would store a file without rows in each preflight."""
    path.spark.sql(f"CREATE TABLE delta.`{path.uri}` (id BIGINT GENERATED ALWAYS AS IDENTITY, x BIGINT) USING delta")
    path.manager("append").preflight(output(path.uri, receipt("2")))
    assert len(list(Path(path.uri, "_delta_log").glob("*.json"))) == 1


@with_spark
@pytest.mark.classic  # over Connect Spark knows no line of the author
@spark_tools.needs_made_columns  # before ANSI was the default, a division by zero was null
def test_a_query_that_fails_while_it_is_stored_is_one_sentence_at_its_line(path: Place, tmp_path: Path) -> None:
    """Spark's own error begins with the write, has a page of Java, and the cause somewhere below."""
    from pyspark.sql import functions

    frame = path.frame(0, 1)
    wrong = frame.select((1 / functions.col("x")).alias("x"))
    files = SparkParquetIoManager("unused"), str(tmp_path / "files")
    for io, uri in ((path.manager("append"), path.uri), files):
        with pytest.raises(RunError) as error:
            io.write(output(uri), wrong)
        (problem,) = error.value.problems
        assert problem.message.startswith("the result of the task `task` can't be stored in ")
        assert ": [DIVIDE_BY_ZERO] Division by zero" in problem.message
        assert "\n" not in problem.message
        assert isinstance(problem.where, SourceLocation)
        assert Path(problem.where.path).name == Path(__file__).name


@with_spark
@pytest.mark.slow
@spark_tools.needs_made_columns
def test_a_query_in_sql_is_told_by_its_error_and_not_by_its_words(path: Place) -> None:
    """Spark shows the query, too, in which brackets may look like the name of an error."""
    wrong = path.spark.sql("SELECT m[K] / x AS r FROM VALUES (map('a', 1), 'a', 0) AS t(m, K, x)")
    with pytest.raises(RunError) as error:
        path.write("append", "1", wrong)
    (problem,) = error.value.problems
    assert ": [DIVIDE_BY_ZERO] Division by zero" in problem.message
    assert problem.where is None


@pytest.mark.parametrize("name", ["DELTA_EXCEED_CHAR_VARCHAR_LIMIT", "EXCEED_LIMIT_LENGTH"])
def test_strings_that_are_longer_than_their_column_are_named_without_a_stack(name: str) -> None:
    """CHAR(n) and VARCHAR(n) are rules of a table, as constraints are."""
    said = f'[{name}] Value "abcd" exceeds char/varchar type length limitation.'
    found = explained(
        Exception(f"An error occurred while calling o1.save.\n: DeltaException: {said}\n\tat org"), "t", "write"
    )
    assert found is not None
    assert found.problems[0].message == f"rows of the result violate a rule of t: {said}"
    assert found.problems[0].hint == "filter or mend them in the task"


def test_a_write_that_an_append_only_table_refuses_is_one_sentence() -> None:
    """A merge, or an overwrite by a function that is not annotated, comes as far as Delta."""
    said = "[DELTA_CANNOT_MODIFY_APPEND_ONLY] This table is configured to only allow appends. Use 'ALTER TABLE null'."
    found = explained(Exception(said), "lake/t", "write")
    assert found is not None
    assert found.problems[0].message.startswith("the table lake/t is append-only (`delta.appendOnly`)")


@with_spark
def test_tables_that_can_not_be_overwritten_are_named(table: Place) -> None:
    """Tables that only take appends, views, and tables of other formats are refused before the function runs."""
    table.write("append", "1", table.frame(1), write_options={"delta.appendOnly": "true"})
    with pytest.raises(RunError, match="is append-only"):
        table.manager("overwrite").preflight(output(table.uri))
    view, plain = "spark_catalog.default.a_view", "spark_catalog.default.a_plain_table"
    table.spark.sql(f"CREATE VIEW {view} AS SELECT 1 AS x")
    table.frame(1).write.format("parquet").saveAsTable(plain)
    try:
        for name, message in ((view, "is a view"), (plain, "a table of the format parquet")):
            with pytest.raises(RunError, match=message):
                table.manager("append").preflight(output(name))
            assert table.manager().read(wanted(name)).count() == 1
    finally:
        table.spark.sql(f"DROP VIEW {view}")
        table.spark.sql(f"DROP TABLE {plain}")


@with_spark
def test_places_that_are_not_there_are_one_sentence(path: Place, tmp_path: Path) -> None:
    """A missing schema or catalog, storage without a driver, and a file in the way: a RunError each, and a hint."""
    (tmp_path / "file").write_text("x")
    for kind, uri, message in (
        (
            SparkTableIoManager,
            "spark_catalog.nowhere.t",
            "the catalog or schema of spark_catalog.nowhere.t doesn't exist",
        ),
        (SparkTableIoManager, "nowhere.a.t", "the catalog or schema of nowhere.a.t doesn't exist"),
        (SparkDeltaIoManager, "s3a://bucket/t", "the storage of s3a://bucket/t can't be reached"),
        (SparkDeltaIoManager, str(tmp_path / "file" / "t"), "can't create a table at"),
    ):
        with pytest.raises(RunError, match=message) as error:
            kind("unused", mode="append").write(output(uri), path.frame(1))
        assert "\tat " not in str(error.value)


@with_spark
def test_a_new_session_runs_python_of_the_running_interpreter(spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark by itself takes the `python3` on PATH, and fails where that is of another version."""
    from pyspark.sql import SparkSession

    def none() -> Any:
        raise RuntimeError

    monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    monkeypatch.setattr(SparkSession, "active", none)
    assert session() is spark
    assert os.environ["PYSPARK_PYTHON"] == sys.executable
    monkeypatch.setenv("PYSPARK_PYTHON", "/the/authors/own")
    session()
    assert os.environ["PYSPARK_PYTHON"] == "/the/authors/own"


@with_spark
def test_the_active_session_is_used(spark: Any) -> None:
    """Where there is a session no other one is made, in other threads neither."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        assert session() is spark
        assert pool.submit(session).result() is spark
    assert is_frame(spark.range(1))
    assert not is_frame(spark)


@pytest.mark.parametrize("kind", KINDS)
def test_managers_are_made_without_spark(kind: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a manager imports no Spark, keeps the author's dicts as they are, and shows no secret."""
    import sys

    for name in ("pyspark", "pyspark.errors"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("DBXDEC_SECRET_A_B", "hush")
    options = {"fs.key": secret("a", "b"), "x": bundle_variable("x")}
    io = kind(bundle_variable("root"), mode="overwrite", read_options=options, write_options=options)
    assert options == {"fs.key": secret("a", "b"), "x": bundle_variable("x")}
    assert "hush" not in repr(io) + json.dumps(io.settings())
    assert io.variables() == {"root", "x"}
    assert kind.reads <= {"pyspark.DataFrame", "polars.DataFrame", "polars.LazyFrame"}
    with pytest.raises(RunError, match=r"(?s)Spark is needed.*dbxdec\[spark\]"):
        session()


def test_tables_of_a_catalog_are_named_by_schema_task_and_item() -> None:
    """A plain name is a table of the namespace, one with dots a whole name; iterations get names of their own."""
    io = SparkTableIoManager(bundle_variable("catalog"), mode="append")
    io.base_path = f"{bundle_variable('catalog')}.sales_{{job}}"
    assert io.template("daily", "load") == "${var.catalog}.sales_daily.load"
    assert io.table("orders").template("daily", "load") == "${var.catalog}.sales_daily.orders"
    assert io.table("main.raw.orders").template("daily", "load") == "main.raw.orders"
    assert io.table(f"{bundle_variable('catalog')}.raw.orders").template("d", "l") == "${var.catalog}.raw.orders"
    assert io.table(f"orders_{bundle_variable('x')}").template("d", "l") == "${var.catalog}.sales_d.orders_${var.x}"
    assert io.item_target("main.raw.orders", "de_1") == "main.raw.orders_de_1"
    given = receipt()
    given = replace(given, id=replace(given.id, job="daily", task="load"))
    with variables.using({"catalog": "main"}), running(given):
        assert io.uri() == "main.sales_daily.load"
        assert io.uri("orders") == "main.sales_daily.orders"


@pytest.mark.parametrize("kind", [SparkDeltaIoManager, SparkTableIoManager])
def test_iterations_share_a_target_where_each_leaves_the_others_alone(kind: type[SparkDelta]) -> None:
    """Appends, partitions and merges join; whole overwrites, slices and "error" do not."""
    assert kind("x", mode="append").joins(None)
    assert kind("x", mode="overwrite", partition_by="p").joins(None)
    assert kind("x").joins(("dbxdec.DeltaMerge",))
    assert not kind("x").joins(None)
    assert not kind("x", mode="overwrite").joins(None)
    assert not kind("x", mode="overwrite", partition_by="p", replace={"p": 1}).joins(None)


def test_wrong_options_are_all_named() -> None:
    """Options that contradict each other are errors when the manager is made, all at once."""
    with pytest.raises(DbxdecError, match=r"(?s)mode.*did you mean `append`.*partition_by.*replace.*txnAppId"):
        SparkDeltaIoManager(
            "x",
            mode="apend",  # type: ignore[arg-type]
            partition_by=["a", "A"],
            replace={},
            write_options={"txnAppId": "x"},
        )
    with pytest.raises(DbxdecError, match="replaces only a part"):
        SparkDeltaIoManager("x", mode="overwrite", schema="replace", replace={"a": 1})
    with pytest.raises(DbxdecError, match=r"(?s)mode.*append.*SparkDeltaIoManager"):
        SparkParquetIoManager("x", mode="append")  # type: ignore[arg-type]
