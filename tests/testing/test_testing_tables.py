"""`dbxdec.testing`: what the IoManagers in memory keep, and what a lake is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest

from dbxdec import IoManager, NotWrittenError, RunError, TargetExistsError, bundle_variable, job, latest, task
from dbxdec.io_managers import DeltaMerge, InputContext, OutputContext, PolarsDeltaIoManager
from dbxdec.testing import Lake, run_job, run_task
from repository import TESTS

lake = PolarsDeltaIoManager(base_path=bundle_variable("root"), mode="append")
orders = lake.table("orders")


@task(io_manager=orders)
def load(ids: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"id": ids})


@job
def appending(ids: list[int] = [1]) -> None:  # noqa: B006
    @task
    def look(mine: pl.DataFrame, whole: pl.DataFrame, newest: pl.LazyFrame, table: pl.LazyFrame) -> list[int]:
        return [mine.height, whole.height, newest.collect().height, table.collect().height]

    loaded = load(ids)
    look(loaded, loaded.table, latest(loaded), orders).after(loaded)


class TestModes:
    def test_an_append_goes_below_what_is_there(self, dbxdec_lake: Lake) -> None:
        """Runs over one lake build on each other; a result is what its own run returned, `.table` the whole table."""
        dbxdec_lake["orders"] = pl.DataFrame({"id": [0]})
        first = run_job(appending, ids=[1], tables=dbxdec_lake)
        second = run_job(appending, ids=[2, 3], tables=dbxdec_lake)
        assert (first["look"].value, second["look"].value) == ([1, 2, 2, 2], [2, 4, 4, 4])
        assert second["load"].value["id"].to_list() == [2, 3]
        assert dbxdec_lake["orders"]["id"].to_list() == [0, 1, 2, 3]
        assert first["load"].value["id"].to_list() == [1]

    @pytest.mark.parametrize(
        ("table", "left"),
        [
            (lake.table("t", mode="overwrite"), [("fr", 2)]),
            (lake.table("t", mode="overwrite", partition_by="country"), [("de", 1), (None, 1), ("fr", 2)]),
            (lake.table("t", mode="overwrite", replace={"country": "fr"}), [("de", 1), (None, 1), ("fr", 2)]),
            (lake.table("t", mode="append"), [("de", 1), ("fr", 1), (None, 1), ("fr", 2)]),
            (lake.table("t", mode="ignore"), [("de", 1), ("fr", 1), (None, 1)]),
        ],
    )
    def test_what_is_there_is_replaced_by_the_mode(self, table: Any, left: list[Any]) -> None:
        """The table, its partitions, a slice of it, or nothing of it."""

        @job
        def one() -> None:
            @task(io_manager=table)
            def write() -> pl.LazyFrame:
                return pl.LazyFrame({"country": ["fr"], "n": [2]})

            @task
            def read(whole: pl.DataFrame, own: pl.DataFrame, written: pl.DataFrame) -> list[int]:
                return [whole.height, own.height, written.height]

            x = write()
            read(x.table, x, x.written)

        before = pl.DataFrame({"country": ["de", "fr", None], "n": [1, 1, 1]})
        result = run_job(one, tables={"t": before})
        assert result.tables["t"].rows() == left
        kept = table.mode == "ignore"
        assert result["read"].value == [len(left), len(left) if kept else 1, 0 if kept else 1]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"replace": {"country": "de"}}, "replaces country='de', but its result has a row with country='fr'"),
            ({"replace": {"land": "fr"}}, "has no column `land`, which `replace` names"),
            ({"partition_by": "land"}, "land"),
            ({"partition_by": "note"}, "the partition column `note` has empty strings"),
        ],
    )
    def test_what_the_storage_would_refuse_of_a_part_is_refused(self, options: dict[str, Any], said: str) -> None:
        """Rows outside of a slice, columns that are not there, and partitions that would come back as others."""

        @job
        def one() -> None:
            @task(io_manager=lake.table("t", mode="overwrite", **options))
            def write() -> pl.DataFrame:
                return pl.DataFrame({"country": ["fr"], "note": [""], "n": [2]})

            write()

        with pytest.raises(RunError, match=re.escape(said)):
            run_job(one)

    def test_a_table_that_is_there_already_is_refused(self) -> None:
        """With mode="error", before the function is called."""
        called = []

        @job
        def one() -> None:
            @task(io_manager=lake.table("t", mode="error"))
            def write() -> pl.DataFrame:
                called.append(1)
                return pl.DataFrame({"n": [1]})

            write()

        run_job(one)
        with pytest.raises(TargetExistsError, match="the target of the task `write`, <root>/t, already exists"):
            run_job(one, tables={"t": pl.DataFrame({"n": [0]})})
        assert called == [1]

    def test_a_merge_updates_and_inserts(self, dbxdec_lake: Lake) -> None:
        """A DeltaMerge is what delta-rs makes of it, on what the lake holds; without a table it makes one."""

        @job
        def one(n: int = 1) -> None:
            @task(io_manager=lake.table("t"))
            def upsert(n: int) -> DeltaMerge:
                return DeltaMerge(pl.DataFrame({"id": [1, n], "n": [n, n]}), on="id")

            @task
            def total(rows: pl.DataFrame) -> int:
                return int(rows["n"].sum())

            total(upsert(n))

        assert run_job(one, n=5, tables=dbxdec_lake)["total"].value == 10
        second = run_job(one, n=6, tables=dbxdec_lake)
        assert second["upsert"].value.sort("id").rows() == [(1, 6), (5, 5), (6, 6)]
        assert second["total"].value == 17

    def test_nothing_to_write(self) -> None:
        """None leaves the table alone; a reader that may gets None, another is refused."""

        @job
        def one() -> None:
            @task(io_manager=lake.table("t"))
            def maybe() -> pl.DataFrame | None:
                return None

            @task
            def fine(x: pl.DataFrame | None) -> str:
                return str(x)

            @task
            def strict(x: pl.DataFrame) -> None: ...

            found = maybe()
            fine(found)
            strict(found)

        result = run_job(one, raise_on_error=False)
        assert result["maybe"].value is None
        assert result["fine"].value == "None"
        assert isinstance(result["strict"].error, NotWrittenError)
        assert "t" not in result.tables

    def test_named_outputs(self) -> None:
        """Each goes to its own table, and may be given."""

        @job
        def one() -> None:
            @task(outputs={"good": lake.table("good"), "bad": lake.table("bad")})
            def split() -> dict[str, pl.DataFrame]:
                return {"good": pl.DataFrame({"n": [1, 2]}), "bad": pl.DataFrame({"n": [3]})}

            @task
            def sizes(good: pl.DataFrame, bad: pl.LazyFrame) -> list[int]:
                return [good.height, bad.collect().height]

            x = split()
            sizes(x["good"], x["bad"])

        result = run_job(one)
        assert result["sizes"].value == [2, 1]
        assert {name: frame.height for name, frame in result["split"].value.items()} == {"good": 2, "bad": 1}
        assert result.tables["bad"].height == 1
        given = run_job(one, inputs={"split": {"good": pl.DataFrame({"n": [1]}), "bad": pl.DataFrame({"n": []})}})
        assert given["sizes"].value == [1, 0]


class Jsonish(IoManager):
    """Keeps lists of dicts."""

    base_path = "s3://bucket"
    writes: ClassVar[frozenset[str] | None] = frozenset({"list"})

    def setup(self) -> None:
        raise AssertionError("a test has no storage to set up")

    def read(self, context: InputContext) -> Any:
        raise AssertionError("a test has no storage to read from")

    def write(self, context: OutputContext, value: Any) -> None:
        raise AssertionError("a test has no storage to write to")


class Anything(Jsonish):
    """Keeps whatever it is given."""

    writes: ClassVar[frozenset[str] | None] = None


class TestCopies:
    def test_nobody_changes_what_another_reads(self) -> None:
        """Neither the producer after its return, nor one reader of another's, nor a test of the result."""
        kept: list[Any] = []
        frame = pl.DataFrame({"n": [1]})

        @job
        def one() -> None:
            @task(io_manager=Jsonish())
            def rows() -> list[dict[str, int]]:
                kept.append([{"n": 1}])
                return kept[0]  # type: ignore[no-any-return]

            @task
            def spoil(rows: list[dict[str, int]], frame: pl.DataFrame) -> None:
                kept[0][0]["n"] = 50
                rows[0]["n"] = 60
                frame[0, "n"] = 70

            @task
            def read(rows: list[dict[str, int]], frame: pl.DataFrame) -> list[int]:
                return [rows[0]["n"], frame[0, "n"]]

            x, y = rows(), load([0])
            spoil(x, y) >> read(x, y)

        result = run_job(one, inputs={"load": frame})
        assert result["read"].value == [1, 1]
        assert result["spoil"].reads["rows"] == [{"n": 1}]
        result["rows"].value[0]["n"] = 80
        assert result["rows"].value == [{"n": 1}]
        assert frame.item() == 1

    def test_what_cannot_be_copied_is_shared(self) -> None:
        """A lock, for one: a run does not fail for it."""

        @job
        def one() -> None:
            @task(io_manager=Anything())
            def lock() -> Any:
                return threading.Lock()

            @task
            def use(lock: Any) -> bool:
                return bool(lock.acquire(blocking=False))

            use(lock())

        assert run_job(one)["use"].value is True

    def test_a_given_value_must_be_one_that_the_manager_stores(self) -> None:
        """As a returned one must."""
        with pytest.raises(RunError, match="the task `load` returned a list, which PolarsDeltaIoManager can't store"):
            run_job(appending, inputs={"load": [1]})

    def test_annotations_say_which_frame(self) -> None:
        """A LazyFrame unless a DataFrame is asked for, whatever was written or given."""

        @job
        def one() -> None:
            @task
            def kinds(a: pl.DataFrame, b: pl.LazyFrame, c, d: pl.LazyFrame | None) -> list[str]:  # type: ignore[no-untyped-def]
                return [type(x).__name__ for x in (a, b, c, d)]

            x = load([1])
            kinds(x, x, x, x)

        for given in (pl.DataFrame({"id": [1]}), pl.LazyFrame({"id": [1]})):
            assert run_job(one, inputs={"load": given})["kinds"].value == [
                "DataFrame",
                "LazyFrame",
                "LazyFrame",
                "LazyFrame",
            ]


class TestOwnManagers:
    def test_they_store_where_variables_say(self, tmp_path: Path) -> None:
        """With `in_memory=False` real tables are written and read; given tables and results take part."""

        @job
        def one() -> None:
            @task(io_manager=lake.table("named", mode="overwrite", partition_by="id"))
            def named(orders: pl.LazyFrame, names: pl.DataFrame) -> pl.LazyFrame:
                return orders.join(names.lazy(), on="id", how="left")

            named(load([1, 2]), lake.table("reference/names"))

        names = pl.DataFrame({"id": [1], "name": ["one"]})
        for _ in range(2):
            result = run_job(one, in_memory=False, variables={"root": tmp_path}, tables={"names": names})
        assert result["named"].value.sort("id").rows() == [(1, "one"), (2, None)]
        assert result["load"].value["id"].to_list() == [1, 2]
        assert pl.read_delta(str(tmp_path / "orders"))["id"].to_list() == [1, 2, 1, 2]
        given = pl.DataFrame({"id": [7]})
        elsewhere = tmp_path / "elsewhere"
        options: Any = {"in_memory": False, "variables": {"root": elsewhere}, "tables": {"names": names}}
        assert run_task(one, "named", inputs={"load": given}, **options).value["id"].to_list() == [7]
        assert pl.read_delta(str(elsewhere / "named"))["id"].to_list() == [7]
        with pytest.raises(RunError, match="the bundle variable `root` has no value in this test"):
            run_job(one, in_memory=False)

    def test_runs_of_other_processes_are_other_runs(self, tmp_path: Path) -> None:
        """Each appends its rows: no table takes a run for the retry of one that another process has had."""
        code = (
            "import sys; from test_testing_tables import appending, run_job\n"
            "run_job(appending, ids=[int(sys.argv[1])], in_memory=False, variables={'root': sys.argv[2]}, tasks='load')"
        )
        environment = {**os.environ, "PYTHONPATH": str(TESTS)}
        for n in ("1", "2"):
            subprocess.run(
                [sys.executable, "-c", code, n, tmp_path], cwd=Path(__file__).parent, check=True, env=environment
            )
        run_job(appending, ids=[3], in_memory=False, variables={"root": tmp_path}, tasks="load")
        assert sorted(pl.read_delta(str(tmp_path / "orders"))["id"]) == [1, 2, 3]

    def test_a_merge_that_the_task_makes_itself(self, tmp_path: Path) -> None:
        """A TableMerger belongs to a real table, which it changes; readers see that table."""
        from deltalake.table import TableMerger

        table = lake.table("t")

        @job
        def one() -> None:
            @task(io_manager=table)
            def upsert() -> TableMerger:
                new = pl.DataFrame({"id": [1, 2]})
                new.clear().write_delta(table.uri(), mode="ignore")
                options = {"predicate": "s.id = t.id", "source_alias": "s", "target_alias": "t"}
                return new.write_delta(
                    table.uri(), mode="merge", delta_merge_options=options
                ).when_not_matched_insert_all()

            @task
            def read(rows: pl.DataFrame) -> int:
                return rows.height

            read(upsert())

        assert run_job(one, variables={"root": tmp_path})["read"].value == 2
        with pytest.raises(RunError, match="the bundle variable `root` has no value"):
            run_job(one)


class TestLake:
    def test_names_are_the_ends_of_places(self) -> None:
        """One that is the end of two is refused; what no run has used yet is there by its name."""
        tables = Lake({"a/x": [1], "b/x": [2]})
        assert (tables["a/x"], "b/x" in tables, "c" in tables, len(tables)) == ([1], True, False, 2)
        with pytest.raises(RunError, match="'x' is the end of `a/x` and `b/x`"):
            _ = tables["x"]
        tables["a/x"] = [3]
        assert tables["a/x"] == [3]
        assert json.dumps(list(tables)) == '["a/x", "b/x"]'
        assert repr(Lake({"orders": 1})) == "Lake(orders)"

    def test_a_lake_may_hold_tables_of_other_jobs(self, dbxdec_lake: Lake) -> None:
        """A dict may not: a name in it that the job does not have is a mistake."""
        dbxdec_lake["elsewhere"] = pl.DataFrame({"n": [1]})
        assert run_job(appending, tables=dbxdec_lake)["load"].state == "success"
        with pytest.raises(RunError, match="`tables` names 'elsewhere', which `appending` neither reads nor writes"):
            run_job(appending, tables={"elsewhere": pl.DataFrame()})
