"""`DeltaMerge` through Spark: every clause as delta-rs has it, on a missing table too, exactly once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import spark_tools
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.delta.merge import DeltaMerge
from spark_tools import Place, needs_spark, output, receipt, rows, wanted

pytestmark = needs_spark
spark, path, table, place = spark_tools.spark, spark_tools.path, spark_tools.table, spark_tools.place

TARGET: dict[str, list[Any]] = {"k": [1, 2, 3, 4], "x": [10, 20, 30, 40], "y": ["a", "b", "c", "d"]}
SOURCE: dict[str, list[Any]] = {"k": [2, 3, 5, 6], "x": [-1, 300, 500, 0], "y": ["B", "C", "E", "F"]}
MERGES: dict[str, Any] = {
    "upsert": lambda merge: merge,
    "conditions": lambda merge: (
        merge.when_matched_delete(predicate="source.x < 0")
        .when_matched_update({"x": "target.x + source.x"}, predicate="target.k = 3")
        .when_not_matched_insert_all(predicate="source.x > 0")
    ),
    "except": lambda merge: merge.when_matched_update_all(except_cols=["y"]).when_not_matched_insert_all(
        except_cols=["x"]
    ),
    "some columns": lambda merge: merge.when_not_matched_insert({"k": "source.k * 10", "y": "'new'"}),
    "by source": lambda merge: (
        merge.when_matched_update({"y": "upper(target.y)"})
        .when_not_matched_by_source_update({"x": "target.x + 1"}, predicate="target.k = 1")
        .when_not_matched_by_source_delete()
    ),
    "the first that applies": lambda merge: merge.when_matched_update({"x": "0"}).when_matched_delete(),
}


def as_frame(spark: Any, data: dict[str, list[Any]]) -> Any:
    return spark.createDataFrame(list(zip(*data.values(), strict=True)), "k bigint, x bigint, y string")


@pytest.mark.parametrize(
    ("name", "there"), [*((name, True) for name in MERGES), ("conditions", False), ("except", False)]
)
def test_a_merge_is_what_polars_makes_of_it(path: Place, tmp_path: Path, name: str, there: bool) -> None:
    """The same clauses leave the same rows through both engines, on a table that is there and on none."""
    other, uri = tmp_path / "polars", path.uri
    io, reference = path.manager("append"), PolarsDeltaIoManager("unused", mode="append")
    if there:
        io.write(output(uri, receipt("0")), as_frame(path.spark, TARGET))
        reference.write(output(str(other), receipt("0")), pl.DataFrame(TARGET))
    io.write(output(uri, receipt("1")), MERGES[name](DeltaMerge(as_frame(path.spark, SOURCE), on="k")))
    reference.write(output(str(other), receipt("1")), MERGES[name](DeltaMerge(pl.DataFrame(SOURCE), on="k")))
    expected = sorted(pl.read_delta(str(other)).select("k", "x", "y").rows(), key=repr)
    assert rows(io.read(wanted(uri, receipt("1"))).select("k", "x", "y")) == expected


@pytest.mark.slow
def test_a_retry_merges_nothing_again(place: Place) -> None:
    """A merge is done once, on a table that it has made itself; a repair with other code fails loudly."""
    adds = DeltaMerge(place.pairs((1, 1)), on="k").when_matched_update({"x": "target.x + source.x"})
    merge = adds.when_not_matched_insert_all()
    assert place.write("error", "1", merge).note == "merged: 1 inserted, 0 updated, 0 deleted"
    assert place.write("error", "2", merge).rows == 1
    # Where no settings are taken, only attempts after the first look for an earlier one.
    for attempt in (2, 3) if spark_tools.IS_CONNECT else (1, 2):
        assert place.write("error", "2", merge, attempt=attempt).note == "already written by attempt 1"
    with pytest.raises(RunError, match="another build"):
        place.manager("error").write(output(place.uri, receipt("2", attempt=4, build="c")), merge)
    assert rows(place.manager().read(wanted(place.uri))) == [(1, 2)]


@pytest.mark.slow
def test_a_merge_that_is_beaten_merges_into_what_is_there_then(path: Place) -> None:
    """Another writer's commit in the midst of a merge is no error, and nothing of either is lost."""
    path.write("append", "0", path.pairs((1, 10)))
    late = path.midway("1", lambda: path.write("append", "8", path.pairs((7, 70)))).selectExpr("CAST(x AS INT) AS k")
    merge = DeltaMerge(late.selectExpr("k", "5 AS x"), on="k")
    path.write("error", "1", merge)
    assert rows(path.manager().read(wanted(path.uri))) == [(1, 5), (7, 70)]


@pytest.mark.slow
def test_sources_that_do_not_fit_are_named(path: Place) -> None:
    """Missing and equal keys, other columns, and a source of another engine are errors, and nothing is merged."""
    path.write("append", "0", path.pairs((1, 10)))
    for source, options, message in (
        (path.pairs((1, 1), (1, 2)), {}, "2 rows with the key k=1; keys must be unique"),
        (path.frame(1), {}, "has no column `k`, which it merges on"),
        (path.sql("1 AS k, 'x' AS x"), {}, r"(?s)columns of the result.*x +int +string"),
        (path.sql("1 AS k, 1 AS x, 1 AS z"), {}, r"(?s)columns of the result.*z +- +int"),
        (pl.DataFrame({"k": [1]}), {}, r"is a polars\..*DataFrame"),
    ):
        with pytest.raises(RunError, match=message):
            path.write("append", "1", DeltaMerge(source, on="k"), **options)
    path.write("append", "1", DeltaMerge(path.sql("1 AS k, 1 AS x, 7 AS z"), on="k"), schema="add-columns")
    assert rows(path.manager().read(wanted(path.uri, receipt("1")))) == [(1, 1, 7)]


@pytest.mark.slow
def test_keys_that_spark_can_not_compare_are_one_sentence(path: Place) -> None:
    with pytest.raises(RunError, match=r"Spark can't execute the DeltaMerge of the task `task`: .*DATATYPE_MISMATCH"):
        path.write("append", "0", DeltaMerge(path.sql("map('a', 1) AS k, 1 AS x"), on="k"))


@pytest.mark.slow
def test_rows_without_a_key_are_all_inserted(path: Place) -> None:
    """Null equals nothing, so several are no equal keys; a part of a key that is null makes the whole one null."""
    some = path.sql("explode(array(1, 2)) AS x, CAST(NULL AS INT) AS k, 'a' AS p")
    path.write("append", "0", DeltaMerge(some, on=["k", "p"]))
    path.write("append", "1", DeltaMerge(some, on=["k", "p"]))
    assert sorted(row[0] for row in rows(path.manager().read(wanted(path.uri)))) == [1, 1, 2, 2]


@pytest.mark.slow
def test_clauses_that_do_not_fit_are_named_before_a_table_is_made(path: Place) -> None:
    """Columns that are not there, wrong SQL, silent casts and dropped columns are errors, as with Polars."""
    one = path.sql("1 AS k, 2 AS x, 'a' AS text")
    merge = DeltaMerge(one, on="k")
    wrong: list[tuple[DeltaMerge, str]] = [
        (merge.when_matched_update({"nope": "1"}), "names the column `nope`, which the table does not have"),
        (merge.when_not_matched_insert_all(except_cols=["nope"]), "`nope`, which the source does not have"),
        (merge.when_matched_update_all("source.nope > 1"), r"can't execute the DeltaMerge .*`source`\.`nope`"),
        (merge.when_matched_update({"x": "nope(1)"}), "can't execute the DeltaMerge .*`nope`"),
        (merge.when_matched_update({"x": ">> (("}), "can't execute the DeltaMerge .*Syntax error"),
        (merge.when_matched_update({"x": "source.text"}), r"(?s)columns of the result.*x +int +string"),
    ]
    for there in (False, True):
        for clauses, message in wrong:
            with pytest.raises(RunError, match=message):
                path.write("append", "1", clauses)
            assert Path(path.uri).exists() == there
        path.write("append", "1", one)
    with pytest.raises(RunError, match=r"(?s)columns of the result.*x +int +string"):
        path.write("overwrite", "2", DeltaMerge(path.sql("1 AS k, 'a' AS x"), on="k"), schema="replace")
    with pytest.raises(RunError, match=r"can't execute the DeltaMerge .*multiple source rows"):
        path.write("append", "2", DeltaMerge(one.unionAll(one), on="target.k = source.k"))
    grown = DeltaMerge(path.sql("1 AS k, 7 AS more"), on="k").when_matched_update({"more": "source.more"})
    path.write("append", "2", grown, schema="add-columns")
    assert rows(path.manager().read(wanted(path.uri))) == [(1, 2, "a", 7)]


@pytest.mark.slow
@pytest.mark.classic
def test_a_merge_into_another_table_leaves_its_receipt_there(path: Place) -> None:
    """A builder over another table than the task's is executed once all the same, and the log says where; a task
    whose result is read may have none, since its readers would look for it in the task's own table.
    """
    other = Place(path.spark, path.uri + "2", path.kind)
    other.write("append", "0", other.pairs((1, 10)))
    with pytest.raises(RunError, match=r"(?s)returned a merge into .*2.*the tasks that read its result"):
        path.write("append", "1", other.merge((1, 1)))

    def note(attempt: int) -> str | None:
        unread = replace(output(path.uri, receipt("1", attempt=attempt)), has_readers=False)
        return path.manager("append").write(unread, other.merge((1, 1))).note

    assert note(1) == f"merged into file:{other.uri}: 0 inserted, 1 updated, 0 deleted"
    assert note(2) == "already written by attempt 1"
    assert rows(other.manager().read(wanted(other.uri, receipt("1")))) == [(1, 11)]
