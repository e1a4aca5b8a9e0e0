"""Partitioned and sliced overwrites through Spark against a plain model, in both ways that Delta may need."""

from __future__ import annotations

import datetime as dt
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import spark_tools
from dbxdec import DeltaMerge
from dbxdec.errors import RunError
from dbxdec.io_managers import SparkParquetIoManager
from dbxdec.io_managers.delta.spark import predicates, write
from dbxdec.io_managers.delta.spark.manager import SparkDeltaIoManager
from dbxdec.io_managers.spark_frames import quoted
from spark_tools import Place, needs_spark, output, receipt, rows, wanted

pytestmark = needs_spark
spark, path, table, place = spark_tools.spark, spark_tools.path, spark_tools.table, spark_tools.place

UTC = dt.UTC
KINDS: dict[str, tuple[str, list[Any]]] = {
    "text": (
        "string",
        ["a", "b c", "d'e", 'f"g', "%2F", "h/i", "ü=ß", "NULL", "\\", "A", "a ", "${x}", "`", "\t"],
    ),
    "whole": ("bigint", [-1, 0, 1, 2**40]),
    "flag": ("boolean", [True, False]),
    "day": ("date", [dt.date(1969, 12, 31), dt.date(2024, 2, 29)]),
    "price": ("decimal(10,2)", [Decimal("1.50"), Decimal("-0.01"), Decimal("99999999.99")]),
    "double": ("double", [0.1, -2.5, 1e20, float("inf"), float("nan")]),
    "moment": (
        "timestamp",
        [
            dt.datetime(2024, 1, 1, 2, 3, 4, 5, tzinfo=UTC),
            dt.datetime(2024, 10, 27, 0, 30, tzinfo=UTC),
            dt.datetime(2024, 10, 27, 1, 30, tzinfo=UTC),
        ],
    ),
    "naive": ("timestamp_ntz", [dt.datetime(2024, 1, 1, 2, 3, 4, 5), dt.datetime(1999, 1, 1)]),
}
# Tuples that cross: the second write names some texts for one moment, and others for another.
DENSE = [
    [(m, t) for m in [*KINDS["moment"][1], None] for t in [*KINDS["text"][1], None]],
    [(KINDS["moment"][1][1], t) for t in KINDS["text"][1][1::2]] + [(KINDS["moment"][1][2], "a"), (None, None)],
]
NAMES = st.sampled_from(["k", "K space", "tick's", "dot.ted", "däy", "select"])
# Without column mapping Delta has no names with spaces.
MAPPED = {"delta.columnMapping.mode": "name"}
BY_TYPE = pytest.mark.parametrize("by_type", [True, False], ids=["dynamic", "predicate"])


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], list[str], list[list[tuple[Any, ...]]]]:
    """Names and kinds of one or two partition columns, and the partition tuples of two writes."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=2))
    names = draw(st.lists(NAMES, min_size=len(kinds), max_size=len(kinds), unique_by=str.lower))
    row = st.tuples(*(st.none() | st.sampled_from(KINDS[kind][1]) for kind in kinds))
    return names, kinds, draw(st.lists(st.lists(row, max_size=4), min_size=2, max_size=2))


def stored_form(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values that are one partition: an empty text and null (Delta protocol, "Partition Value Serialization"), NaNs."""
    return tuple(None if value == "" else "NaN" if value != value else value for value in row)


def as_frame(spark: Any, names: list[str], kinds: list[str], data: list[tuple[Any, ...]], number: int) -> Any:
    """The rows as a frame, by way of text: Python's own timestamps would go through the local time zone."""

    def text(value: Any) -> str | None:
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    columns = ", ".join(f"c{i} string" for i in range(len(names)))
    frame = spark.createDataFrame([tuple(map(text, row)) for row in data], columns)
    casts = [f"CAST(c{i} AS {KINDS[kind][0]}) AS {quoted(names[i])}" for i, kind in enumerate(kinds)]
    return frame.selectExpr(*casts, f"{number}L AS write")


def found_in(frame: Any, names: list[str], kinds: list[str]) -> dict[tuple[Any, ...], list[int]]:
    columns = [
        f"CAST(unix_micros({quoted(name)}) AS STRING)" if kind == "moment" else name
        for name, kind in zip(names, kinds, strict=True)
    ]
    picked = frame.selectExpr(*(c if c.startswith("CAST") else quoted(c) for c in columns), "write").collect()
    found: dict[tuple[Any, ...], list[int]] = {}
    for row in picked:
        values = [
            dt.datetime(1970, 1, 1, tzinfo=UTC) + dt.timedelta(microseconds=int(value))
            if kind == "moment" and value is not None
            else value
            for value, kind in zip(row, kinds, strict=False)
        ]
        found.setdefault(stored_form(tuple(values)), []).append(row[-1])
    return found


@BY_TYPE
@settings(
    max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(case=cases())
@example(case=(["K space", "dot.ted"], ["moment", "text"], DENSE))
@pytest.mark.slow
def test_a_partitioned_overwrite_is_what_the_model_says(
    spark: Any,
    monkeypatch: pytest.MonkeyPatch,
    by_type: bool,
    case: tuple[list[str], list[str], list[list[tuple[Any, ...]]]],
) -> None:
    """Each write replaces exactly the partitions whose value tuples are in its data, and leaves its receipt."""
    monkeypatch.setattr(write, "_compares_by_type", lambda spark: by_type)
    names, kinds, writes = case
    model: dict[tuple[Any, ...], list[int]] = {}
    io = SparkDeltaIoManager("unused", mode="overwrite", partition_by=names, write_options=MAPPED)
    with tempfile.TemporaryDirectory() as folder:
        uri = str(Path(folder, "table"))
        for number, data in enumerate(writes):
            io.write(output(uri, receipt(str(number))), as_frame(spark, names, kinds, data, number))
            model |= {stored_form(row): [] for row in data}
            for row in data:
                model[stored_form(row)].append(number)
        found = found_in(io.read(wanted(uri)), names, kinds)
        own = found_in(io.read(wanted(uri, receipt("1"))), names, kinds)
    assert sorted(value for values in own.values() for value in values) == [1] * len(writes[1])
    assert {key: sorted(values) for key, values in found.items()} == {key: rows for key, rows in model.items() if rows}


@pytest.mark.slow
@BY_TYPE
def test_partitions_that_another_writer_spelled_are_replaced(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_type: bool
) -> None:
    """Values count, not their spelling in the log: delta-rs and Spark spell timestamps and empty texts differently."""
    import polars as pl

    monkeypatch.setattr(write, "_compares_by_type", lambda spark: by_type)
    names, kinds = ["m", "n", "p", "t"], ["moment", "naive", "price", "text"]
    one = (KINDS["moment"][1][0], KINDS["naive"][1][0], Decimal("1.50"), "")
    two = (KINDS["moment"][1][1], None, Decimal("0.01"), "x")
    schema = {"m": pl.Datetime("us", "UTC"), "n": pl.Datetime("us"), "p": pl.Decimal(10, 2), "t": pl.String()}
    data = pl.DataFrame([(*one, 0), (*two, 0)], schema={**schema, "write": pl.Int64()}, orient="row")
    data.write_delta(str(tmp_path / "t"), delta_write_options={"partition_by": names})
    io = SparkDeltaIoManager("unused", mode="overwrite", partition_by=names)
    io.write(output(str(tmp_path / "t"), receipt("1")), as_frame(spark, names, kinds, [(*one[:-1], None)], 1))
    found = found_in(io.read(wanted(str(tmp_path / "t"))), names, kinds)
    assert found == {stored_form(one): [1], stored_form(two): [0]}


@BY_TYPE
@pytest.mark.classic
def test_the_query_runs_once(path: Place, monkeypatch: pytest.MonkeyPatch, by_type: bool) -> None:
    """A query that counts its runs, and gives other partitions each time, is stored as it was the one time it ran."""
    from pyspark.sql import functions

    monkeypatch.setattr(write, "_compares_by_type", lambda spark: by_type)
    runs = path.spark.sparkContext.accumulator(0)

    def count(value: int) -> int:
        runs.add(1)
        return value

    counted = functions.udf(count, "bigint", useArrow=False)
    path.write("overwrite", "0", path.pairs((1, 1), (2, 2)), partition_by="k")
    frame = path.pairs((1, 7)).select("k", counted("x").cast("int").alias("x"))
    path.write("overwrite", "1", frame, partition_by="k")
    assert runs.value == 1
    assert rows(path.manager().read(wanted(path.uri))) == [(1, 7), (2, 2)]


@pytest.mark.slow
@BY_TYPE
def test_an_empty_frame_replaces_nothing_and_leaves_a_receipt(
    path: Place, monkeypatch: pytest.MonkeyPatch, by_type: bool
) -> None:
    """Nothing is replaced where there are no rows, and readers of the run get no rows either."""
    monkeypatch.setattr(write, "_compares_by_type", lambda spark: by_type)
    path.write("overwrite", "0", path.pairs((1, 1)), partition_by="k")
    assert path.write("overwrite", "1", path.pairs((1, 1)).limit(0), partition_by="k").rows == 0
    assert rows(path.manager().read(wanted(path.uri, receipt("1")))) == []
    assert rows(path.manager().read(wanted(path.uri))) == [(1, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("value", ["", "__HIVE_DEFAULT_PARTITION__"])
def test_a_string_that_spark_would_store_as_null_is_refused(path: Place, value: str) -> None:
    """By Delta tables, merges into them, and Parquet: nothing is written, and the column is named."""
    path.write(
        "overwrite", "0", path.sql("'a' AS k, CAST(NULL AS STRING) AS `o'k`, 1L AS x"), partition_by=["k", "o'k"]
    )
    mixed = f"IF(id = 9, '{value}', 'b')"
    frame = path.spark.range(10).repartition(2).selectExpr("'b' AS k", f"{mixed} AS `o'k`", "id AS x")
    with pytest.raises(RunError, match="the partition column `o'k` has empty strings or __HIVE_DEFAULT_PARTITION__"):
        path.write("overwrite", "1", frame, partition_by=["k", "o'k"])
    with pytest.raises(RunError, match="the partition column `o'k`"):
        path.write("append", "2", DeltaMerge(frame, on="x"))
    with pytest.raises(RunError, match="the partition column `o'k`"):
        SparkParquetIoManager("unused", partition_by="o'k").write(output(f"{path.uri}-files"), frame)
    assert path.manager().read(wanted(path.uri)).count() == 1


def test_a_partition_column_that_delta_refuses_is_told_in_one_sentence(path: Place) -> None:
    """Spark has a list of signs that its partition columns may not have."""
    with pytest.raises(RunError, match="can't be partitioned by a column of this name"):
        path.write("overwrite", "0", path.sql("1 AS `a=b`, 2 AS x"), partition_by="a=b")


SLICES: dict[str, Any] = {
    "string": "d'e\\",
    "date": dt.date(2024, 2, 29),
    "decimal(10,2)": Decimal("1.50"),
    "timestamp": dt.datetime(2024, 10, 27, 1, 30, tzinfo=UTC),
}


@pytest.mark.slow
def test_a_slice_is_replaced_also_by_nothing(place: Place) -> None:
    """`replace=` names a part of the table: it is replaced by the rows, or emptied; rows outside of it are refused.
    Readers of a run get the part.
    """
    options: dict[str, Any] = {"replace": {"k": 1}}
    with pytest.raises(RunError, match="outside of the part"):
        place.write("overwrite", "0", place.pairs((1, 1), (2, 2)), **options)
    place.write("append", "0", place.pairs((1, 1), (1, 2), (2, 2)))
    place.write("overwrite", "1", place.pairs((1, 7)), **options)
    assert rows(place.manager().read(wanted(place.uri))) == [(1, 7), (2, 2)]
    assert rows(place.manager().read(wanted(place.uri, receipt("1")))) == [(1, 7)]
    with pytest.raises(RunError, match="outside of the part"):
        place.write("overwrite", "2", place.pairs((2, 7)), **options)
    for run in ("3", "4"):  # the second time there is nothing to remove either
        place.write("overwrite", run, place.pairs((1, 7)).limit(0), **options)
        assert rows(place.manager().read(wanted(place.uri))) == [(2, 2)]
        assert rows(place.manager().read(wanted(place.uri, receipt(run)))) == []
    place.write("overwrite", "5", place.pairs((2, 3)), replace={"K": 2})
    assert rows(place.manager().read(wanted(place.uri, receipt("5")))) == [(2, 3)]
    with pytest.raises(RunError, match="has no such column"):
        place.write("overwrite", "5", place.pairs((1, 7)), replace={"z": 1})


@pytest.mark.slow
def test_a_slice_is_named_by_values_of_any_type(path: Place) -> None:
    """Each type, and null, names its own rows and no others, whatever the column is called."""
    with pytest.raises(RunError, match=r"(?s)odd`col 1.*columnMapping"):
        path.write("append", "0", path.sql("1 AS `odd``col 1`, 1 AS x"))
    names = {kind: f"odd'col.{i} " for i, kind in enumerate(SLICES)}
    columns = {kind: quoted(name) for kind, name in names.items()}
    own = [f"{predicates.literal(value, kind)} AS {columns[kind]}" for kind, value in SLICES.items()]
    null = [f"CAST(NULL AS {kind}) AS {column}" for kind, column in columns.items()]
    both = path.sql(", ".join([*own, "1 AS x"])).unionAll(path.sql(", ".join([*null, "2 AS x"])))
    path.write("append", "0", both, write_options=MAPPED)
    for number, (kind, value) in enumerate(SLICES.items(), start=3):
        frame = path.sql(", ".join([*own, f"{number} AS x"]))
        path.write("overwrite", str(number), frame, replace={names[kind]: value})
        assert sorted(row["x"] for row in path.manager().read(wanted(path.uri)).collect()) == [2, number]
    path.write("overwrite", "null", path.sql(", ".join([*null, "0 AS x"])), replace={names["date"]: None})
    assert sorted(row["x"] for row in path.manager().read(wanted(path.uri)).collect()) == [0, number]


@pytest.mark.parametrize(
    ("columns", "tuples", "sql"),
    [
        (["n"], [("1",)], "`n` = 1"),
        (["n"], [("2",), ("1",), ("1",)], "`n` IN (1, 2)"),
        (["n"], [("1",), (None,)], "(`n` = 1 OR `n` IS NULL)"),
        (["r"], [(None,)], "(`r` IS NULL OR `r` = '')"),
        (["n", "r"], [("1", "'us'"), ("2", "'eu'")], "(`n` = 1 AND `r` = 'us') OR (`n` = 2 AND `r` = 'eu')"),
    ],
)
def test_the_predicate_names_tuples(columns: list[str], tuples: list[tuple[str | None, ...]], sql: str) -> None:
    """Values are listed for each combination of the columns before, nulls apart, names quoted."""
    assert predicates.predicate(columns, tuples, {"n": "int", "r": "string"}, ["r"]) == sql


VARIABLES = ["${env:HOME}", "${spark.app.name}", "${x}", "$", "", "/root"]


@pytest.mark.slow
def test_strings_that_look_like_variables_are_strings(place: Place) -> None:
    """Spark replaces `${...}` in SQL: a slice, a comment and a merge's item have it as it is."""
    given = place.spark.createDataFrame([(text, 1) for text in VARIABLES], "p string, x int")
    place.write("append", "0", given, comment="${x}", properties={"own": "${x}"})
    place.write("overwrite", "1", given.limit(0), replace={"p": "${env:HOME}"})
    place.write("overwrite", "2", place.sql("'${x' || '}' AS p, 2 AS x"), replace={"p": "${x}"})
    assert rows(place.manager().read(wanted(place.uri, receipt("2")))) == [("${x}", 2)]
    assert {row[0]: row[1] for row in place.manager().read(wanted(place.uri)).collect()} == {
        text: 2 if text == "${x}" else 1 for text in VARIABLES if text != "${env:HOME}"
    }
    sql = place.manager()._at(place.uri).sql
    (detail,) = place.spark.sql(f"DESCRIBE DETAIL {sql}").collect()
    assert (detail["description"], detail["properties"]["own"]) == ("${x}", "${x}")
    merge = DeltaMerge(place.sql("'a' AS p, 3 AS x"), on="p").when_not_matched_insert_all()
    place.manager("append").write(output(place.uri, receipt("3", item="${x}")), merge)
    again = place.manager("append").write(output(place.uri, receipt("3", item="${x}", attempt=2)), merge)
    assert again.note == "already written by attempt 1"


def test_a_name_with_a_variable_is_refused() -> None:
    with pytest.raises(RunError, match=r"can't use the name `a\$\{x\}`"):
        quoted("a${x}")


def test_a_name_that_delta_misreads_is_refused() -> None:
    """A predicate over a column with a backtick, which Delta would take for null, is an error and no doubled rows."""
    with pytest.raises(RunError, match=r"`a`b`.*misreads"):
        predicates.predicate(["a`b"], [("1",)], {"a`b": "int"}, ["a`b"])


@pytest.mark.slow
def test_hundreds_of_partitions(path: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A predicate over 500 pairs of values is evaluated."""
    monkeypatch.setattr(write, "_compares_by_type", lambda spark: False)
    path.write("append", "0", path.pairs((1, 1), (9999, 9999)).selectExpr("k", "x", "0 AS v"), partition_by=["k", "x"])
    many = path.spark.range(500).selectExpr("CAST(id AS INT) AS k", "CAST(id AS INT) AS x", "1 AS v").coalesce(1)
    tuples = predicates.distinct_values(many, ["k", "x"])
    kinds = {"k": "int", "x": "int"}
    where = predicates.predicate(["k", "x"], tuples, kinds, ["k", "x"])
    assert len(tuples) == 500
    assert path.manager().read(wanted(path.uri)).where(where).count() == 1


def test_tables_with_other_partitions_are_named_before_the_function_runs(path: Place) -> None:
    """Preflight and write compare the partitions that the table has with those that its task says."""
    path.write("append", "0", path.pairs((1, 1)), partition_by="k")
    io = path.manager("overwrite", partition_by="x")
    for act in (lambda: io.preflight(output(path.uri)), lambda: io.write(output(path.uri), path.pairs((1, 1)))):
        with pytest.raises(RunError, match=r"is partitioned by `k`, but its task has partition_by=\['x'\]"):
            act()
