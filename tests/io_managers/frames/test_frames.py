"""Tasks that ask for frames of other libraries, and return them: in real tables, and in tables in memory."""

from __future__ import annotations

import datetime as dt
import gc
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from dbxdec import DeltaMerge, bundle_variable, each, job, task
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsCsvIoManager, PolarsDeltaIoManager, PolarsParquetIoManager, frames
from dbxdec.io_managers.contexts import ReadFacts
from dbxdec.io_managers.frames import conversions, in_arrow, in_duckdb
from dbxdec.io_managers.frames.connections import connection, one_connection
from dbxdec.io_managers.frames.registering import register
from dbxdec.model.typehints import type_name
from dbxdec.runtime import record
from dbxdec.testing import Lake, run_job
from delta_tools import output, receipt, stored, wanted
from repository import TESTS

pytest.importorskip("duckdb")
pytest.importorskip("narwhals")
pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
import duckdb
import narwhals as nw
import narwhals.stable.v1 as nw_v1
import pandas as pd
import pyarrow as pa

BIG = 2**60 + 1
ROWS = pl.DataFrame({"n": [BIG, None, 3], "s": ["a", None, "c"]})
MANAGERS = [PolarsDeltaIoManager, PolarsParquetIoManager, PolarsCsvIoManager]

# Each kind of frame: its annotation, made of a Polars frame, and its rows.
Kind = tuple[Any, Callable[[pl.DataFrame], Any], Callable[[Any], list[tuple[Any, ...]]]]


CONNECTION = duckdb.connect()


def _relation(frame: pl.DataFrame) -> duckdb.DuckDBPyRelation:
    return CONNECTION.from_arrow(frame.to_arrow())


def _rows_of_arrow(found: Any) -> list[tuple[Any, ...]]:
    table = found.read_all() if isinstance(found, pa.RecordBatchReader) else found
    return [tuple(row.values()) for row in table.to_pylist()]


def _rows_of_pandas(found: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(None if value is pd.NA else value for value in row) for row in found.itertuples(index=False)]


KINDS: dict[str, Kind] = {
    "table": (pa.Table, pl.DataFrame.to_arrow, _rows_of_arrow),
    "reader": (pa.RecordBatchReader, lambda frame: frame.to_arrow().to_reader(), _rows_of_arrow),
    "pandas": (pd.DataFrame, lambda frame: frame.to_pandas(use_pyarrow_extension_array=True), _rows_of_pandas),
    "duckdb": (duckdb.DuckDBPyRelation, _relation, lambda found: found.fetchall()),
    "narwhals": (nw.DataFrame[Any], nw.from_native, lambda found: found.rows()),
    "narwhals lazy": (
        nw.LazyFrame[Any],
        lambda frame: nw.from_native(frame.lazy()),
        lambda found: found.collect().rows(),
    ),
}
EACH_KIND = pytest.mark.parametrize("name", KINDS)


@EACH_KIND
@pytest.mark.parametrize("kind", MANAGERS, ids=lambda kind: kind.__name__)
def test_what_is_returned_is_what_a_reader_gets(tmp_path: Path, kind: Any, name: str) -> None:
    """Of each kind, with each manager: values, nulls and whole numbers as they were."""
    annotation, made, rows = KINDS[name]
    io = kind(tmp_path)
    io.write(output(tmp_path / "t"), made(ROWS))
    found = io.read(wanted(tmp_path / "t", receipt(), annotation))
    assert rows(found) == ROWS.rows()


@EACH_KIND
def test_a_result_is_an_instance_of_its_annotation(tmp_path: Path, name: str) -> None:
    """Without its parameters, where it has some."""
    annotation, made, _ = KINDS[name]
    io = PolarsDeltaIoManager(tmp_path)
    io.write(output(tmp_path / "t"), made(ROWS))
    found = io.read(wanted(tmp_path / "t", None, annotation))
    kind: Any = getattr(annotation, "__origin__", annotation)
    assert isinstance(found, kind)


lake = PolarsDeltaIoManager(bundle_variable("lake_root"), mode="append")


@task(io_manager=lake.table("bronze"))
def extract(day: dt.date) -> pa.RecordBatchReader:
    return pa.table({"n": [1, BIG], "day": [day, day]}).to_reader()


@task(io_manager=lake.table("silver"))
def convert(rows: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    return rows.project("n + 1 AS n, day")


@task(outputs={"even": lake.table("even"), "odd": lake.table("odd")})
def part(rows: pd.DataFrame) -> dict[str, pd.DataFrame | None]:
    return {"even": rows[rows["n"] > 1], "odd": None}


@task
def joined(
    con: duckdb.DuckDBPyConnection,
    bronze: pa.Table,
    silver: duckdb.DuckDBPyRelation,
    even: pl.LazyFrame,
    odd: nw.LazyFrame[Any] | None,
) -> list[int]:
    assert odd is None
    (row,) = con.sql(
        "SELECT count(*), sum(b.n)::BIGINT FROM bronze b JOIN silver s ON s.n = b.n + 1 JOIN even e ON e.day = b.day"
    ).fetchall()
    return [*row, len(bronze)]


@job
def daily(day: dt.date = dt.date(2024, 1, 1)) -> None:
    bronze = extract(day)
    silver = convert(bronze)
    parts = part(silver)
    joined(bronze, silver, parts["even"], parts["odd"])  # type: ignore[call-arg]


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "tables"])
def test_a_job_of_all_kinds(tmp_path: Path, in_memory: bool) -> None:
    """Several outputs, one of them None; a connection in which inputs of any kind are tables by their names."""
    result = run_job(daily, in_memory=in_memory, variables={"lake_root": tmp_path})
    assert result["joined"].value == [4, 2 * (BIG + 1), 2]
    assert result["part"].value["even"]["n"].to_list() == [2, BIG + 1]


@task(io_manager=lake.table("countries"))
def country(name: str) -> pd.DataFrame:
    return pd.DataFrame({"name": [name], "n": [len(name)]})


@task
def together(rows: pa.Table, apart: list[pd.DataFrame], by_name: dict[str, duckdb.DuckDBPyRelation]) -> list[int]:
    return [len(rows), *(int(one["n"].sum()) for one in apart), *(one.fetchall()[0][1] for one in by_name.values())]


@job
def countries() -> None:
    found = country(each(["fr", "ita"]))
    together(found, found, found)


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "tables"])
def test_iterations_as_one_as_a_list_and_by_item(tmp_path: Path, in_memory: bool) -> None:
    """Each as it is annotated."""
    result = run_job(countries, in_memory=in_memory, variables={"lake_root": tmp_path})
    assert result["together"].value == [2, 2, 3, 2, 3]


reports = PolarsParquetIoManager(bundle_variable("lake_root"), mode="overwrite")


@job
def files_of_countries() -> None:
    found = country.override(io_manager=reports.table("files"))(each(["fr", "ita"]))
    together(found, found, found)


def test_iterations_with_files_of_their_own(tmp_path: Path) -> None:
    """The manager reads them as Polars has them, and converts once."""
    result = run_job(files_of_countries, in_memory=False, variables={"lake_root": tmp_path})
    assert result["together"].value == [2, 2, 3, 2, 3]


@task(io_manager=lake.table("log"))
def log_new(new: pa.RecordBatchReader) -> pa.Table:
    return new.read_all()


@job
def following(day: dt.date = dt.date(2024, 1, 1)) -> None:
    log_new(extract(day).changes())


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "tables"])
def test_what_is_new_as_a_reader(tmp_path: Path, in_memory: bool) -> None:
    """Each row once, over two runs."""
    tables = Lake()
    for day in (1, 2):
        given: dict[str, Any] = {"tables": tables} if in_memory else {"in_memory": False}
        result = run_job(following, day=dt.date(2024, 1, day), variables={"lake_root": tmp_path}, **given)
    assert result["log_new"].value["day"].to_list() == [dt.date(2024, 1, 2)] * 2


@task(io_manager=lake.table("checked", expect_or_drop={"positive": "n > 0"}, expect={"few": "n < 2"}))
def checked(rows: pa.Table) -> pa.RecordBatchReader:
    return rows.to_reader()


@job
def judged() -> None:
    checked(lake.table("given"))


@pytest.mark.parametrize(
    "given",
    [
        pa.table({"n": [-1, 1, 2]}),
        pd.DataFrame({"n": [-1, 1, 2]}),
        nw.from_native(pl.DataFrame({"n": [-1, 1, 2]})).lazy(),
    ],
    ids=["arrow", "pandas", "narwhals"],
)
def test_expectations_see_the_columns_that_are_stored(given: Any) -> None:
    """In memory, of tables that a test gives as any frame."""
    result = run_job(judged, tables={"given": given}, variables={"lake_root": "lake"})
    assert result["checked"].value["n"].to_list() == [1, 2]
    assert result["checked"].expectations["few"]["failed"] == 1


def test_results_that_a_test_gives() -> None:
    """Are converted as what a task returns."""
    result = run_job(
        daily,
        inputs={"extract": pd.DataFrame({"n": [1], "day": [dt.date(2024, 1, 1)]})},
        until="convert",
        variables={"lake_root": "lake"},
    )
    assert result["convert"].value["n"].to_list() == [2]


class TestReader:
    """A reader is read once, while the query runs."""

    @pytest.mark.parametrize("second", [{"n": [2], "more": [3]}, {"n": [2.5]}, {"m": [2]}, {}])
    def test_batches_of_other_columns_than_the_schema_are_refused(self, tmp_path: Path, second: Any) -> None:
        """pyarrow compares them with nothing, and a column that the schema lacks would be lost."""
        batches = [pa.record_batch({"n": [1]}), pa.record_batch(second)]
        reader = pa.RecordBatchReader.from_batches(pa.schema([("n", pa.int64())]), iter(batches))
        with pytest.raises(RunError, match="the task `task` returned yields a batch of other columns than its schema"):
            PolarsDeltaIoManager(tmp_path).write(output(tmp_path / "t"), reader)
        assert not (tmp_path / "t" / "_delta_log").exists()

    def test_a_query_runs_as_its_reader_asks_for_rows(self, tmp_path: Path) -> None:
        """What is left unread is not computed, and no thread stays."""
        io = PolarsDeltaIoManager(tmp_path)
        io.write(output(tmp_path / "t"), pl.DataFrame({"n": range(500_000)}))
        reader = io.read(wanted(tmp_path / "t", None, pa.RecordBatchReader))
        first = reader.read_next_batch()
        assert first["n"][0].as_py() == 0
        assert len(first) < 100_000
        del reader
        gc.collect()
        assert "dbxdec-query" not in {thread.name for thread in threading.enumerate()}

    def test_an_error_of_the_query_is_its_own(self) -> None:
        """As the reader gets to it."""

        def fails(batch: pl.DataFrame) -> pl.DataFrame:
            raise RunError("no more rows")

        reader = in_arrow.reader(pl.LazyFrame({"x": [1]}).map_batches(fails, schema={"x": pl.Int64}))
        with pytest.raises(Exception, match="no more rows"):
            reader.read_all()

    @pytest.mark.parametrize("properties", [None, {"delta.enableChangeDataFeed": True}], ids=["files", "delta-rs"])
    def test_a_reader_that_fails_stores_nothing(self, tmp_path: Path, properties: Any) -> None:
        """The error is that of the reader, and there is no commit."""

        def batches() -> Iterator[pa.RecordBatch]:
            yield pa.record_batch({"x": [1]})
            raise ValueError("no more rows")

        io = PolarsDeltaIoManager(tmp_path, properties=properties)
        reader = pa.RecordBatchReader.from_batches(pa.schema({"x": pa.int64()}), batches())
        with pytest.raises(Exception, match="no more rows"):
            io.write(output(tmp_path / "t"), reader)
        assert not DeltaTable.is_deltatable(str(tmp_path / "t")) or stored(tmp_path / "t") == []

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"properties": {"delta.enableChangeDataFeed": True}},
            {"partition_by": "p"},
            {"expect_or_fail": {"some": "x > 0"}},
            {"replace": {"p": 1}, "mode": "overwrite"},
        ],
        ids=["files", "delta-rs", "partitions", "expectations", "slice"],
    )
    def test_each_way_to_store_reads_it_once(self, tmp_path: Path, options: Any) -> None:
        """Whoever writes the files; twice, since a table that is there is written another way."""
        io = PolarsDeltaIoManager(tmp_path, **{"mode": "append", **options})
        for run in ("1", "2"):
            reader = pa.table({"x": [1, 2], "p": [1, 1]}).to_reader()
            assert io.write(output(tmp_path / "t", receipt(run)), reader).version is not None
        assert stored(tmp_path / "t") == ([1, 2] if "replace" in options else [1, 1, 2, 2])

    def test_rows_that_are_needed_again_are_an_error(self) -> None:
        """They are gone: the write fails, and says what to return instead."""
        found = conversions.taken(pa.table({"x": [1]}).to_reader(), "what the task `t` returned")
        assert found.collect().rows() == [(1,)]
        with pytest.raises(RunError, match="what the task `t` returned can be read once") as refused:
            found.collect()
        assert "return a pa.Table" in str(refused.value)

    def test_one_that_has_been_read_is_refused(self, tmp_path: Path) -> None:
        """It would store nothing: as two outputs, or after the task has read what it was given."""
        io = PolarsDeltaIoManager(tmp_path)
        io.write(output(tmp_path / "t"), ROWS)
        reader = io.read(wanted(tmp_path / "t", None, pa.RecordBatchReader))
        reader.read_next_batch()
        with pytest.raises(RunError, match=r"the task `task` returned is a pa\.RecordBatchReader that has been read"):
            io.write(output(tmp_path / "u"), reader)
        shared = ROWS.to_arrow().to_reader()
        io.write(output(tmp_path / "v"), shared)
        with pytest.raises(RunError, match="has been read, by the task or for another output"):
            io.write(output(tmp_path / "w"), shared)
        unread = io.read(wanted(tmp_path / "t", None, pa.RecordBatchReader))
        assert io.write(output(tmp_path / "x"), unread).rows == 3

    def test_new_columns_are_added_by_a_reader(self, tmp_path: Path) -> None:
        """The query runs before the table grows, and its rows are kept."""
        for properties in (None, {"delta.enableChangeDataFeed": True}):
            io = PolarsDeltaIoManager(tmp_path, mode="append", schema="add-columns", properties=properties)
            place = tmp_path / str(properties is None)
            io.write(output(place, receipt("1")), pa.table({"x": [1]}).to_reader())
            io.write(output(place, receipt("2")), pa.table({"x": [2], "y": ["new"]}).to_reader())
            assert pl.read_delta(str(place)).sort("x").rows() == [(1, None), (2, "new")]


class TestPandas:
    """Indexes, names of columns and values of objects."""

    def write(self, path: Path, frame: pd.DataFrame) -> pl.DataFrame:
        PolarsDeltaIoManager(path, mode="overwrite").write(output(path / "t"), frame)
        return pl.read_delta(str(path / "t"))

    @pytest.mark.parametrize(
        ("frame", "said"),
        [
            (pd.DataFrame({"n": [1]}).set_index("n", drop=False), "has the index 'n', which would be lost"),
            (pd.DataFrame({"n": [1]}, index=["a"]), "has an index of the type "),
            (pd.DataFrame({"n": [1]}, index=pd.to_datetime(["2024-01-01"])), "an index of the type datetime64"),
            (pd.DataFrame({"n": [1], "k": [2], "v": [3]}).set_index(["n", "k"]), "has the index 'n', 'k'"),
            (pd.DataFrame([[1, 2]], columns=["n", "n"]), "has columns of the same name: 'n'"),
            (pd.DataFrame([[1, 2]]), "has columns whose names are no strings: 0, 1"),
            (pd.DataFrame({("a", "b"): [1]}), "has columns of several levels"),
            (pd.DataFrame({"n": [1, "a"], "m": [1j, 2j]}), "n: object, Could not convert 'a' with type str"),
            (pd.DataFrame({"n": pd.period_range("2024-01", periods=1, freq="M")}), "n: extension<pandas.period"),
        ],
    )
    def test_what_would_be_lost_is_refused_by_name(self, tmp_path: Path, frame: pd.DataFrame, said: str) -> None:
        """With the task, and nothing is written."""
        with pytest.raises(RunError) as refused:
            self.write(tmp_path, frame)
        assert "what the task `task` returned" in str(refused.value)
        assert said in str(refused.value)
        assert not (tmp_path / "t").exists()

    def test_numbers_of_rows_are_left_out(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """As a filter leaves them behind; a log line says so."""
        frame = pd.DataFrame({"n": [1, 2, 3]})
        with caplog.at_level(logging.INFO, "dbxdec"):
            assert self.write(tmp_path, frame).columns == ["n"]
            assert "index" not in caplog.text
            assert self.write(tmp_path, frame[frame["n"] > 1])["n"].to_list() == [2, 3]
        assert "the index of the pandas frame has no name" in caplog.text

    def test_columns_of_numpy_keep_their_values(self, tmp_path: Path) -> None:
        """NaN is a missing value there, as pandas has it; categories are strings."""
        frame = pd.DataFrame({"n": [BIG, -1], "f": [1.5, float("nan")], "c": pd.Categorical(["a", None])})
        assert self.write(tmp_path, frame).rows() == [(BIG, 1.5, "a"), (-1, None, None)]


class TestDuckDB:
    """Relations run when they are stored, and their connection has to be there."""

    def write(self, path: Path, relation: Any) -> list[Any]:
        PolarsDeltaIoManager(path, mode="overwrite").write(output(path / "t"), relation)
        return pl.read_delta(str(path / "t")).rows()

    def test_a_closed_connection_is_said(self, tmp_path: Path) -> None:
        """And what to do instead."""
        with duckdb.connect() as connection:
            relation = connection.sql("SELECT 1 AS n")
        with pytest.raises(
            RunError, match="the task `task` returned can't be read any more: Connection Error"
        ) as refused:
            self.write(tmp_path, relation)
        assert "con: duckdb.DuckDBPyConnection" in str(refused.value)

    def test_types_that_would_change_are_refused_by_name(self, tmp_path: Path) -> None:
        """All of them, also inside of others; before anything is written."""
        columns = {
            "a": "INTERVAL 1 MONTH",
            "b": "'01'::BIT",
            "c": "TIMETZ '10:00:00+05'",
            "e": "[INTERVAL 1 DAY]",
            "f": "{'x': 1::HUGEINT}",
            "ok": "'a'::ENUM('a', 'interval')",
        }
        relation = CONNECTION.sql(f"SELECT {', '.join(f'{one} AS {name}' for name, one in columns.items())}")
        with pytest.raises(RunError) as refused:
            self.write(tmp_path, relation)
        text = str(refused.value)
        assert "what the task `task` returned has columns that can't be stored" in text
        assert [name for name in columns if f"\n    {name}: " in text] == ["a", "b", "c", "e", "f"]
        assert self.write(tmp_path, relation.project("ok")) == [("a",)]

    def test_sums_are_stored_if_they_have_38_digits(self, tmp_path: Path) -> None:
        """A sum of whole numbers is a HUGEINT, which may have 39."""
        connection = duckdb.connect()
        assert [int(n) for (n,) in self.write(tmp_path, connection.sql(f"SELECT sum({BIG}) AS n"))] == [BIG]
        for where in ("", " FROM range(100_000) r(i) WHERE i = 99_999"):
            huge = connection.sql(f"SELECT 170141183460469231731687303715884105727::HUGEINT AS n{where}")
            with pytest.raises(RunError, match=r"has the number 17014118346\d+, which has more than the 38 digits"):
                self.write(tmp_path, huge)
        with pytest.raises(duckdb.Error, match="-12x"):
            self.write(tmp_path, connection.sql("SELECT '-12x'::DECIMAL(38, 0) + 1::HUGEINT AS n"))

    def test_columns_have_any_name(self) -> None:
        """Dots, quotes, stars and words of SQL are letters of names, also beside sums."""
        names = ["a.b", "*", 'q"x', "with space", "select", "^n$", "rowid"]
        frame = pl.DataFrame({name: [i] for i, name in enumerate(names)})
        with one_connection():
            relation = in_duckdb.relation(frame.lazy(), "order")
            assert_frame_equal(conversions.taken(relation, "it").collect(), frame)
            huge = relation.project(", ".join('"' + name.replace('"', '""') + '"::HUGEINT' for name in names))
            found = conversions.taken(huge.project('*, 1 AS "A", 2 AS a'), "it").collect()
            assert found.row(0) == (*range(7), 1, 2)
            assert found.columns[-2:] == ["A", "a"]

    def test_names_that_duckdb_takes_for_the_same_are_refused(self) -> None:
        """It would call one of them otherwise."""
        with one_connection(), pytest.raises(RunError, match=r"gives other names: 'A' \('A_1'\)"):
            in_duckdb.relation(pl.LazyFrame({"a": [1], "A": [2]}), "order")
        with pytest.raises(RunError, match="what the task `t` returned has columns of the same name: 'a'"):
            conversions.taken(CONNECTION.sql("SELECT 1 AS a, 2 AS a"), "what the task `t` returned")

    def test_columns_that_duckdb_lacks_are_refused_before_the_call(self, tmp_path: Path) -> None:
        """All of them, with the parameter."""
        io = PolarsParquetIoManager(tmp_path)
        frame = pl.DataFrame({"a": [dt.timedelta(1)], "b": [[1]]}, schema_overrides={"b": pl.List(pl.Int128)})
        io.write(output(tmp_path / "t"), frame)
        with pytest.raises(RunError) as refused:
            io.read(wanted(tmp_path / "t", receipt(), duckdb.DuckDBPyRelation))
        assert "the parameter `frame` has columns of types that DuckDB does not have" in str(refused.value)
        assert "\n    a: Duration" in str(refused.value)
        assert "\n    b: List(Int128)" in str(refused.value)

    def test_moments_are_in_utc(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever the machine's zone: days and hours are the same everywhere."""
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        io = PolarsDeltaIoManager(tmp_path)
        moment = dt.datetime(2024, 1, 1, 23, tzinfo=dt.UTC)
        io.write(output(tmp_path / "t"), pl.DataFrame({"moment": [moment]}))
        relation = io.read(wanted(tmp_path / "t", None, duckdb.DuckDBPyRelation))
        assert relation.project("moment::DATE").fetchall() == [(dt.date(2024, 1, 1),)]


def test_a_stable_api_of_narwhals_gets_its_own_frames(tmp_path: Path) -> None:
    """`narwhals.stable.v1` has classes of its own."""
    io = PolarsDeltaIoManager(tmp_path)
    io.write(output(tmp_path / "t"), nw_v1.from_native(ROWS))
    assert isinstance(io.read(wanted(tmp_path / "t", None, nw_v1.DataFrame[Any])), nw_v1.DataFrame)
    assert isinstance(io.read(wanted(tmp_path / "t", None, nw_v1.LazyFrame[Any])), nw_v1.LazyFrame)


def test_a_frame_of_narwhals_around_another_library(tmp_path: Path) -> None:
    """Is stored as that library's frame is, with its rules."""
    io = PolarsDeltaIoManager(tmp_path)
    with pytest.raises(RunError, match="has the index 'n'"):
        io.write(output(tmp_path / "t"), nw.from_native(pd.DataFrame({"n": [1]}).set_index("n", drop=False)))
    io.write(output(tmp_path / "t"), nw.from_native(_relation(ROWS)))
    assert pl.read_delta(str(tmp_path / "t")).rows() == ROWS.rows()


@EACH_KIND
def test_the_source_of_a_merge(tmp_path: Path, name: str) -> None:
    """May be any of them; one that can be read once is merged whole."""
    io = PolarsDeltaIoManager(tmp_path)
    io.write(output(tmp_path / "t", receipt("1")), pl.DataFrame({"n": [BIG], "s": ["before"]}))
    rows = KINDS[name][1](pl.DataFrame({"n": [BIG, 2], "s": ["after", "new"]}))
    io.write(
        output(tmp_path / "t", receipt("2")),
        DeltaMerge(rows, on="n").when_matched_update_all().when_not_matched_insert_all(),
    )
    assert sorted(pl.read_delta(str(tmp_path / "t")).rows()) == [(2, "new"), (BIG, "after")]


@pytest.mark.parametrize("name", [name for name in KINDS if name != "narwhals lazy"])
def test_a_library_that_is_missing_is_said_before_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """By its name, with what to install; for a result before the function runs, for a parameter before it is read."""
    annotation, _, _ = KINDS[name]
    io = PolarsDeltaIoManager(tmp_path)
    io.write(output(tmp_path / "t"), ROWS)
    returns = type_name(annotation)
    missing = frames.NEEDS[returns][-1]
    monkeypatch.setitem(sys.modules, missing, None)
    said = rf"{missing} is not installed\n    hint: install \"dbxdec\[{frames.NEEDS[returns][0]}\]\""
    with pytest.raises(RunError, match=said):
        io.preflight(output(tmp_path / "t", returns=(returns,)))
    with pytest.raises(RunError, match=said):
        io.read(wanted(tmp_path / "t", None, annotation))


def test_no_library_is_imported_before_a_task_asks_for_it(tmp_path: Path) -> None:
    """Reading and writing frames of Polars needs none of them. pyarrow may be imported by Polars itself."""
    code = f"""
import sys
import polars as pl
from delta_tools import output, receipt, wanted
from dbxdec.io_managers import PolarsDeltaIoManager
from pathlib import Path
io = PolarsDeltaIoManager({str(tmp_path)!r})
io.write(output(Path({str(tmp_path)!r}, "t")), pl.LazyFrame({{"x": [1]}}))
io.read(wanted(Path({str(tmp_path)!r}, "t"), receipt()))
print(sorted({{"pandas._libs", "duckdb", "narwhals"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=TESTS, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@EACH_KIND
def test_the_record_of_a_read_has_rows_and_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Rows where they are there; columns always, without reading."""
    annotation, made, _ = KINDS[name]
    io = PolarsDeltaIoManager(tmp_path)
    io.write(output(tmp_path / "t"), made(ROWS))
    monkeypatch.setenv(record.FILE, str(tmp_path / "record"))
    found = io.read(wanted(tmp_path / "t", None, annotation))
    record.note("read", "x", "t", ReadFacts(), found, 0.0)
    (line,) = map(json.loads, (tmp_path / "record").read_text(encoding="utf-8").splitlines())
    assert [column for column, _ in line["columns"]] == ["n", "s"]
    assert line["rows"] == (None if "lazy" in name or name in ("reader", "duckdb") else 3)


def test_inputs_of_any_name_are_tables_of_the_connection() -> None:
    """Also words of SQL. What is no frame is left out, and a reader is there once."""
    with one_connection():
        con = connection()
        inputs = {
            "order": in_duckdb.relation(pl.LazyFrame({"x": [1]}), "order"),
            "table": pl.LazyFrame({"y": [2]}),
            "select": pd.DataFrame({"z": [3]}),
            "reader": pa.table({"r": [4]}).to_reader(),
            "day": 5,
            "none": None,
        }
        register(con, inputs)
        gc.collect()
        assert con.sql('SELECT * FROM "order", "table", "select", reader').fetchall() == [(1, 2, 3, 4)]
        assert sorted(name for (name,) in con.sql("SHOW TABLES").fetchall()) == ["order", "reader", "select", "table"]
        assert con.sql('SELECT * FROM "order", "table"').fetchall() == [(1, 2)]
        with pytest.raises(duckdb.Error, match="already been consumed"):
            con.sql("FROM reader").fetchall()
        with pytest.raises(RunError, match="the parameter `late` has columns of types that DuckDB does not have"):
            register(con, {"late": pl.DataFrame({"a": [dt.timedelta(1)]})})


def test_inputs_that_would_be_one_table_of_the_connection_are_refused() -> None:
    """DuckDB would give the rows of the last one for both names."""
    with one_connection(), pytest.raises(RunError, match="the parameters `rows` and `Rows` would be one table"):
        register(connection(), {"rows": pl.DataFrame({"x": [1]}), "ROWS": 5, "Rows": pl.DataFrame({"x": [2]})})


def test_a_relation_that_cannot_run_when_it_is_stored_is_refused(tmp_path: Path) -> None:
    """It says why: the table is gone."""
    io = PolarsDeltaIoManager(tmp_path)
    with duckdb.connect() as con:
        con.execute("CREATE TABLE gone AS SELECT 1 AS x")
        found = con.sql("FROM gone")
        con.execute("DROP TABLE gone")
        with pytest.raises(RunError, match="what the task `task` returned can't be read: Catalog Error: Table"):
            io.write(output(tmp_path / "t"), found)


def test_a_frame_without_columns_is_no_relation() -> None:
    """DuckDB has none without."""
    with one_connection(), pytest.raises(RunError, match="the parameter `rows` has no column"):
        in_duckdb.relation(pl.LazyFrame(), "rows")


def test_relations_of_a_task_can_be_joined(tmp_path: Path) -> None:
    """They are of one connection, which is closed at the end of the task."""
    io = PolarsDeltaIoManager(tmp_path)
    io.write(output(tmp_path / "t"), ROWS)
    with one_connection():
        one, two = (io.read(wanted(tmp_path / "t", None, duckdb.DuckDBPyRelation)) for _ in range(2))
        both = one.set_alias("a").join(two.set_alias("b"), "a.n = b.n").project("a.s, b.s")
        assert sorted(both.fetchall()) == [("a", "a"), ("c", "c")]
    with pytest.raises(duckdb.ConnectionException):
        both.fetchall()


def test_names_of_columns_are_no_patterns(tmp_path: Path) -> None:
    """`*` and `^...$` are names as others."""
    io = PolarsParquetIoManager(tmp_path, partition_by="^p$")
    frame = pl.DataFrame({"*": [1, 2], "^p$": ["a", "b"], "^*$": [3, 4]})
    io.write(output(tmp_path / "t"), frame.to_arrow().to_reader())
    assert sorted(io.read(wanted(tmp_path / "t", receipt())).rows()) == sorted(frame.rows())


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (pl.DataFrame | pa.Table, pl.DataFrame),
        (pa.Table | pl.DataFrame, pa.Table),
        (pa.Table | pl.LazyFrame, pl.LazyFrame),
        (None, pl.LazyFrame),
    ],
)
def test_of_several_kinds_it_is_a_lazyframe_or_the_first(tmp_path: Path, annotation: Any, kind: type) -> None:
    """As docs/frames.md says."""
    io = PolarsDeltaIoManager(tmp_path)
    io.write(output(tmp_path / "t"), ROWS)
    assert isinstance(io.read(wanted(tmp_path / "t", None, annotation)), kind)
