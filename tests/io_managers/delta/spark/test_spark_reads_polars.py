"""Spark on Delta tables whose files Polars has written."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import delta_tools
import spark_tools
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.spark_frames import quoted
from spark_tools import Place, needs_spark, rows

pytestmark = needs_spark
spark, path = spark_tools.spark, spark_tools.path

MOMENT = dt.datetime(2024, 1, 1, 2, 3, 4, 5678, tzinfo=dt.UTC)


@pytest.fixture
def far_from_utc(spark: Any) -> Any:
    """A session whose texts of times are those of another zone."""
    before = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    yield spark
    spark.conf.set("spark.sql.session.timeZone", before)


@pytest.mark.slow
def test_every_type_and_every_filter_gives_the_rows_that_were_written(far_from_utc: Any, tmp_path: Path) -> None:
    """Values come back as they were, and no file is skipped that has a row of the filter."""
    data = pl.DataFrame(
        {
            "k": ["a", "b/c ü%", None],
            "i": pl.Series([1, -2, 3], dtype=pl.Int16),
            "x": [0.5, -1.25, 3.0],
            "s": ["ä", "x" * 70, ""],
            "d": [dt.date(2024, 2, 29), dt.date(1969, 1, 1), None],
            "z": [MOMENT, MOMENT + dt.timedelta(microseconds=1), MOMENT],
            "p": pl.Series([Decimal("1.50"), Decimal("-2.25"), Decimal("0.01")], dtype=pl.Decimal(10, 2)),
            "w": pl.Series([Decimal("1.50"), Decimal("-2.25"), Decimal("9" * 30 + ".5")], dtype=pl.Decimal(38, 2)),
            "b": [True, False, None],
            "o": [{"n": 1, "t": ["u"]}, {"n": 2, "t": []}, {"n": None, "t": None}],
        }
    )
    uri = tmp_path / "t"
    PolarsDeltaIoManager("unused", partition_by="k").write(delta_tools.output(uri), data)
    frame = far_from_utc.read.format("delta").load(str(uri))
    assert frame.count() == 3
    for name in data.columns:
        if name == "o":
            assert {row["o"]["n"] for row in frame.collect()} == {1, 2, None}
            assert frame.where("o.n = 2").count() == 1
            continue
        for value in data[name].drop_nulls():
            found = frame.where(frame[name] == value).select("i").collect()
            expected = data.filter(pl.col(name) == value)["i"].to_list()
            assert sorted(row[0] for row in found) == sorted(expected), (name, value)
        assert frame.where(frame[name].isNull()).count() == data[name].null_count(), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("a=b", ["x", "y"]),
        ("a/b", ["x", "y"]),
        ("a\nb", ["x", "y"]),
        ("a:b", ["x", "y"]),
        ("größe in cm", ["x", "y"]),
        ("k", ["null", None]),
        ("k", ["*", "a=b/%41\n"]),
    ],
)
def test_partitions_of_any_text_are_the_same_to_spark(spark: Any, tmp_path: Path, column: str, values: Any) -> None:
    """Spark reads, filters and updates partitions whose names or values no folder could have."""
    uri, io = tmp_path / "t", PolarsDeltaIoManager("unused", mode="overwrite", partition_by=column)
    io.write(delta_tools.output(uri), pl.DataFrame({column: values, "v": [0, 1]}))
    frame = spark.read.format("delta").load(str(uri))
    name = quoted(column)
    assert [row[0] for row in frame.orderBy("v").select(name).collect()] == values
    for value, v in zip(values, (0, 1), strict=True):
        assert [row[0] for row in frame.where(frame[name].eqNullSafe(value)).select("v").collect()] == [v]
    spark.sql(f"UPDATE delta.`{uri}` SET v = v + 10")  # noqa: S608
    assert whole(io, uri).sort("v").select(pl.all().exclude("v")).to_series().to_list() == values


@pytest.mark.slow
def test_rows_that_spark_has_deleted_by_vectors_are_gone_in_partitions_read_by_the_log(
    far_from_utc: Any, tmp_path: Path
) -> None:
    """Folders in the zone of Spark's session say other times than the log, and files keep rows that are deleted."""
    uri = tmp_path / "t"
    rows = far_from_utc.range(6).selectExpr("timestamp'2024-01-01 00:00:00' AS k", "id AS v").repartition(1)
    rows.write.format("delta").option("delta.enableDeletionVectors", "true").partitionBy("k").save(str(uri))
    far_from_utc.sql(f"DELETE FROM delta.`{uri}` WHERE v IN (0, 3)")  # noqa: S608
    found = whole(PolarsDeltaIoManager("unused"), uri).sort("v")
    moment = dt.datetime(2023, 12, 31, 15, tzinfo=dt.UTC)
    assert found.rows() == [(moment, v) for v in (1, 2, 4, 5)]


def whole(io: PolarsDeltaIoManager, uri: Path) -> pl.DataFrame:
    """All rows; Polars by itself would take a folder's name, which Spark writes in its session's zone, for UTC."""
    found = io.read(delta_tools.wanted(uri))
    assert isinstance(found, pl.DataFrame)
    return found


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pl.Datetime("us", "UTC"), [MOMENT, MOMENT + dt.timedelta(hours=12)]),
        (pl.Decimal(10, 2), [Decimal("-1.50"), Decimal("1.50")]),
        (pl.Float64(), [1e20, 0.000001]),
        (pl.Date(), [dt.date(1969, 1, 1), dt.date(2024, 2, 29)]),
        (pl.Boolean(), [True, False]),
    ],
    ids=str,
)
def test_partitions_are_the_same_to_both(far_from_utc: Any, tmp_path: Path, kind: Any, values: list[Any]) -> None:
    """What Polars has written Spark reads, whatever the zone of its session; what Spark adds Polars replaces."""
    io, uri = PolarsDeltaIoManager("unused", mode="overwrite", partition_by="k"), tmp_path / "t"
    data = pl.DataFrame({"k": values, "x": [1, 2]}, schema={"k": kind, "x": pl.Int64()})
    io.write(delta_tools.output(uri, delta_tools.receipt("1")), data)
    frame = far_from_utc.read.format("delta").load(str(uri))
    assert [frame.where(frame["k"] == value).count() for value in values] == [1, 1]
    frame.selectExpr("k", "x + 10 AS x").write.format("delta").mode("append").save(str(uri))
    assert whole(io, uri).sort("x")["k"].to_list() == values * 2
    io.write(delta_tools.output(uri, delta_tools.receipt("2")), data.head(1).with_columns(x=3).cast({"x": pl.Int64}))
    assert sorted(whole(io, uri)["x"]) == [2, 3, 12]


@pytest.mark.slow
@pytest.mark.classic
def test_spark_goes_on_where_polars_left_off(path: Place) -> None:
    """Spark appends to, merges into and overwrites such a table, and Polars reads what came of it."""
    uri = Path(path.uri)
    PolarsDeltaIoManager("unused").write(
        delta_tools.output(uri, delta_tools.receipt("1")), pl.DataFrame({"k": [1, 2], "x": [1, 2]}).cast(pl.Int32)
    )
    path.write("append", "2", path.pairs((3, 3)))
    path.merge((1, 10), (4, 4)).execute()
    assert rows(path.manager().read(spark_tools.wanted(path.uri))) == [(1, 11), (2, 2), (3, 3), (4, 4)]
    assert sorted(pl.read_delta(path.uri).rows()) == [(1, 11), (2, 2), (3, 3), (4, 4)]
