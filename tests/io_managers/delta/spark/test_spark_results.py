"""What a reader of Spark's gets: the rows that this run's producer returned, by the receipt of its commit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import spark_tools
from dbxdec import DeltaMerge
from dbxdec.errors import NotWrittenError, RunError
from dbxdec.io_managers.contexts import ItemWrite, Rows, WriteResult
from spark_tools import IS_CONNECT, Place, needs_spark, output, receipt, rows, wanted

pytestmark = needs_spark
spark, path, table, place = spark_tools.spark, spark_tools.path, spark_tools.table, spark_tools.place


def people(at: Place, *some: tuple[str | None, int]) -> Any:
    return at.spark.createDataFrame(some, "k string, n int")


def read(at: Place, run: str, kind: Rows = "run") -> list[tuple[Any, ...]]:
    return rows(at.manager().read(wanted(at.uri, receipt(run), rows=kind)))


def together(at: Place, items: list[str], kind: Rows = "run", *, apart: bool = False) -> Any:
    writes = [ItemWrite(receipt("1", item=item).id, at.uri, item.upper()) for item in items]
    return at.manager().read_items(wanted(at.uri, receipt("1"), rows=kind), writes, apart=apart)


def store_item(at: Place, item: str, value: Any, mode: Any = "append", **options: Any) -> None:
    at.manager(mode, **options).write(output(at.uri, receipt("1", item=item)), value)


def feed(at: Place) -> None:
    """Have the table record what commits change."""
    name = at.uri if "." in at.uri and "/" not in at.uri else f"delta.`{at.uri}`"
    at.spark.sql(f"ALTER TABLE {name} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')")


class TestFrames:
    def test_an_append_is_its_rows(self, place: Place) -> None:
        """Neither earlier nor later rows are among them; the whole table is there when it is asked for."""
        for run in ("1", "2", "3"):
            place.write("append", run, people(place, ("a", int(run))))
        assert read(place, "2") == read(place, "2", "changed") == [("a", 2)]
        assert read(place, "2", "table") == [("a", 1), ("a", 2)]
        assert read(place, "1") == [("a", 1)]

    def test_a_table_with_a_column_called_metadata(self, path: Place) -> None:
        """The name of Spark's own hidden column may be one of the user's."""
        for run in ("1", "2"):
            path.write("append", run, path.sql(f"{run} AS _metadata"))
        assert read(path, "2") == [(2,)]

    def test_replaced_partitions_are_those_of_the_data(self, place: Place) -> None:
        """Rows of other partitions are none of the result, and an empty result is empty."""
        place.write("overwrite", "1", people(place, ("a", 1), ("b", 1), (None, 1)), partition_by="k")
        place.write("overwrite", "2", people(place, ("b", 2), (None, 2)), partition_by="k")
        place.write("overwrite", "3", people(place), partition_by="k")
        assert read(place, "2") == [("b", 2), (None, 2)]
        assert read(place, "3") == []
        assert len(read(place, "3", "table")) == 3

    @pytest.mark.slow
    @pytest.mark.parametrize("deletion_vectors", [False, True])
    @pytest.mark.parametrize("value", ["a", "", None])
    def test_a_slice_is_its_rows_alone(self, path: Place, value: str | None, deletion_vectors: bool) -> None:
        """Delta rewrites or marks rows of others in the same commit; an empty string and null are two slices."""
        options = {"delta.enableDeletionVectors": str(deletion_vectors).lower()}
        path.write("append", "1", people(path, ("a", 1), ("", 1), (None, 1)).coalesce(1), write_options=options)
        path.write("overwrite", "2", people(path, (value, 2), (value, 3)), replace={"k": value})
        path.write("append", "3", people(path, (value, 9)))
        assert read(path, "2") == [(value, 2), (value, 3)]
        others = {("a", 1), ("", 1), (None, 1)} - {(value, 1)}
        assert set(read(path, "2", "table")) == {*others, (value, 2), (value, 3)}
        path.write("overwrite", "4", people(path), replace={"k": value})
        assert read(path, "4") == []

    @pytest.mark.slow
    def test_a_slice_of_a_partition(self, path: Place) -> None:
        """The null partition is one; an empty string, which a partition column can't tell from null, is refused."""
        path.write("append", "1", people(path, ("a", 1), (None, 1)), partition_by="k")
        with pytest.raises(RunError, match="an empty partition value as null"):
            path.write("overwrite", "2", people(path, (None, 2)), replace={"k": ""}, partition_by="k")
        path.write("overwrite", "2", people(path, (None, 2)), replace={"k": None}, partition_by="k")
        assert read(path, "2") == [(None, 2)]
        assert read(path, "2", "table") == [("a", 1), (None, 2)]

    @pytest.mark.slow
    def test_columns_that_others_add_later_are_none_of_it(self, path: Place) -> None:
        """Rows have the columns that the table had with them."""
        for run, column in (("1", "a"), ("2", "b"), ("3", "c")):
            path.write("append", run, path.sql(f"1 AS {column}"), schema="add-columns")
        found = path.manager().read(wanted(path.uri, receipt("2")))
        assert (found.columns, rows(found)) == (["a", "b"], [(None, 1)])

    @pytest.mark.slow
    def test_a_column_mapping_that_is_taken_away_later_changes_nothing(self, path: Place) -> None:
        """The files have the names of their own time."""
        mapped = "USING delta TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"
        path.spark.sql(f"CREATE TABLE delta.`{path.uri}` (k STRING, n INT) {mapped}")
        path.write("append", "1", people(path, ("a", 1)))
        path.write("append", "2", people(path, ("a", 2)))
        path.spark.sql(f"ALTER TABLE delta.`{path.uri}` SET TBLPROPERTIES ('delta.columnMapping.mode' = 'none')")
        assert read(path, "2") == [("a", 2)]

    @pytest.mark.slow
    @pytest.mark.classic
    def test_files_that_were_compacted_are_still_there_until_a_vacuum(self, path: Place) -> None:
        """Then one sentence says so."""
        for run in ("1", "2"):
            path.write("append", run, people(path, ("a", int(run))))
        path.spark.sql(f"OPTIMIZE delta.`{path.uri}`")
        assert read(path, "2") == [("a", 2)]
        for file in Path(path.uri).glob("*.parquet"):
            if file.name not in " ".join(path.spark.read.format("delta").load(path.uri).inputFiles()):
                file.unlink()
        with pytest.raises(RunError, match="can't be read any more"):
            read(path, "2")


class TestMerges:
    @pytest.mark.slow
    def test_a_merge_is_the_table_as_it_left_it(self, place: Place) -> None:
        """What it has inserted or changed is known where the table keeps a change data feed."""
        place.write("append", "0", people(place, ("a", 1), ("b", 1)))
        place.manager().write(output(place.uri, receipt("1")), DeltaMerge(people(place, ("b", 2)), on="k"))
        with pytest.raises(RunError, match=r"(?s)does not record them.*enableChangeDataFeed"):
            read(place, "1", "changed")
        feed(place)
        place.manager().write(output(place.uri, receipt("2")), DeltaMerge(people(place, ("b", 3), ("c", 3)), on="k"))
        place.write("append", "3", people(place, ("z", 9)))
        assert read(place, "2") == read(place, "2", "table") == [("a", 1), ("b", 3), ("c", 3)]
        assert read(place, "2", "changed") == [("b", 3), ("c", 3)]

    @pytest.mark.classic
    def test_a_merge_into_another_table_is_refused_where_a_task_reads_the_result(self, path: Place) -> None:
        """The reader would get the task's own table, which the merge has not touched."""
        path.write("append", "0", path.pairs((1, 10)))
        context = output(path.uri + "_own", receipt("1"), ("delta.DeltaMergeBuilder",))
        with pytest.raises(RunError, match=r"returned a merge into .*, but the tasks that read its result read .*_own"):
            path.manager().write(context, path.merge((1, 1)))
        assert rows(path.manager().read(wanted(path.uri))) == [(1, 10)]


class TestKept:
    @pytest.mark.slow
    def test_what_is_kept_is_the_table_as_it_was_then(self, path: Place) -> None:
        """Nothing of it was written by the task."""
        path.write("append", "0", people(path, ("a", 1)))
        path.write("ignore", "1", people(path, ("b", 2)))
        path.write("append", "2", people(path, ("z", 9)))
        assert read(path, "1") == read(path, "1", "table") == [("a", 1)]
        assert read(path, "1", "changed") == []


class TestProof:
    @pytest.mark.slow
    def test_a_log_that_does_not_reach_back_is_an_error(self, path: Place) -> None:
        """Where commits since the run's start have been cleaned, nobody can tell: that is not None."""
        for run in range(12):
            path.write("append", str(run), people(path, ("a", run)))
        for version in range(5):
            Path(path.uri, "_delta_log", f"{version:020}.json").unlink()
            Path(path.uri, "_delta_log", f".{version:020}.json.crc").unlink(missing_ok=True)
        started = int(path.spark.sql("SELECT unix_millis(now())").collect()[0][0])
        with pytest.raises(RunError, match="no longer reaches back") as error:
            path.manager().read(wanted(path.uri, receipt("other"), started=started))
        assert not isinstance(error.value, NotWrittenError)

    @pytest.mark.slow
    def test_a_restore_below_a_write_voids_it(self, place: Place) -> None:
        """A reader is told so; a retry writes anew, which Spark would drop by the transaction that the table keeps."""
        before = place.write("append", "0", people(place, ("z", 0))).version or 0
        place.write("append", "1", people(place, ("a", 1)))
        name = place.uri if "/" not in place.uri else f"delta.`{place.uri}`"
        place.spark.sql(f"RESTORE TABLE {name} TO VERSION AS OF {before}")
        told = rf"wrote version {before + 1} .* the RESTORE of version {before + 2} has undone it"
        with pytest.raises(RunError, match=told):
            read(place, "1")
        for attempt, note in ((2, ""), (3, "already written by attempt 2")):
            assert place.write("append", "1", people(place, ("a", 1)), attempt=attempt).note == note
        assert read(place, "1", "table") == [("a", 1), ("z", 0)]
        assert read(place, "1") == [("a", 1)]

    @pytest.mark.slow
    @pytest.mark.classic
    def test_a_merge_that_was_undone_merges_again(self, path: Place) -> None:
        """Its transaction gets a version above the one that was undone."""
        path.write("append", "0", path.pairs((1, 10)))
        context = output(path.uri, receipt("1"), ("delta.DeltaMergeBuilder",))
        path.manager().write(context, path.merge((1, 1)))
        path.spark.sql(f"RESTORE TABLE delta.`{path.uri}` TO VERSION AS OF 0")
        for _ in range(2):
            path.manager().write(output(path.uri, receipt("1", attempt=2)), path.merge((1, 1)))
        assert rows(path.manager().read(wanted(path.uri))) == [(1, 11)]

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["append", "merge"])
    @pytest.mark.parametrize("attempt", [1, 2])
    def test_a_write_that_a_restore_has_undone_is_made_again(self, path: Place, kind: str, attempt: int) -> None:
        """Also by an attempt with the number of the one that made it: Spark drops it by its identifier at first."""
        if IS_CONNECT and (kind, attempt) == ("merge", 1):
            pytest.xfail("connect: a merge that is called again as the first attempt is made again there")
        path.write("append", "1", path.pairs((1, 1)))

        def again(number: int) -> WriteResult:
            new: Any = path.pairs((2, 2))
            return path.write("append", "2", new if kind == "append" else DeltaMerge(new, on="k"), attempt=number)

        again(1)
        for _ in range(2):
            path.spark.sql(f"RESTORE TABLE delta.`{path.uri}` TO VERSION AS OF 0")
            assert path.stored == [1]
            assert again(attempt).version is not None
            assert path.stored == [1, 2]
        assert "already written" in again(attempt).note
        assert path.stored == [1, 2]

    @pytest.mark.slow
    def test_what_another_build_wrote_is_refused_without_harm_to_others(self, path: Place) -> None:
        """No hint asks to restore over commits of others."""
        path.write("append", "0", people(path, ("a", 1)))
        path.write("append", "1", people(path, ("a", 2)))
        path.write("append", "2", people(path, ("z", 9)))
        other = output(path.uri, receipt("1", attempt=2, build="c"))
        with pytest.raises(RunError, match="another build") as error:
            path.manager("append").write(other, people(path, ("a", 3)))
        assert "restore" not in str(error.value)


class TestItems:
    @pytest.mark.slow
    def test_all_iterations_together_are_what_they_returned(self, path: Place) -> None:
        """Rows of other runs, and iterations that had nothing to write, change nothing."""
        path.write("append", "0", people(path, ("z", 0)))
        for item, n in (("a", 1), ("b", 2)):
            store_item(path, item, people(path, (item, n)))
            path.write("append", f"between {item}", people(path, ("z", n)))
        store_item(path, "c", None)
        assert rows(together(path, ["a", "b", "c"])) == [("a", 1), ("b", 2)]
        found = together(path, ["a", "c"], apart=True)
        assert rows(found[0]) == [("a", 1)]
        assert isinstance(found[1], NotWrittenError)
        assert len(rows(together(path, ["a", "b"], "table"))) == 4

    @pytest.mark.slow
    def test_two_that_replaced_the_same_are_an_error_that_names_both(self, path: Place) -> None:
        """One has replaced the rows of the other."""
        path.write("overwrite", "0", people(path, ("x", 0), ("y", 0)), partition_by="k")
        store_item(path, "a", people(path, ("x", 1)), "overwrite", partition_by="k")
        store_item(path, "b", people(path, ("y", 1)), "overwrite", partition_by="k")
        assert rows(together(path, ["a", "b"])) == [("x", 1), ("y", 1)]
        store_item(path, "c", people(path, ("x", 2)), "overwrite", partition_by="k")
        with pytest.raises(RunError, match="the iterations for A and C wrote the same part"):
            together(path, ["a", "b", "c"])

    def test_an_empty_one_has_the_columns_of_the_table(self, path: Place) -> None:
        """A for-each over nothing gives no rows where there is a table."""
        with pytest.raises(NotWrittenError):
            path.manager().empty(wanted(path.uri))
        path.write("append", "0", people(path, ("a", 1)))
        found = path.manager().empty(wanted(path.uri))
        assert (found.columns, rows(found)) == (["k", "n"], [])


@pytest.mark.slow
def test_receipts_are_the_same_for_both_engines(path: Place) -> None:
    """What Spark has written is read through Polars as what its task returned."""
    import polars as pl

    from dbxdec.io_managers import InputContext, PolarsDeltaIoManager

    path.write("append", "0", people(path, ("z", 0)))
    path.write("append", "1", people(path, ("a", 1), (None, 1)))
    path.write("overwrite", "2", people(path, ("a", 2)), replace={"k": "a"})
    for run, expected in (("1", [("a", 1), (None, 1)]), ("2", [("a", 2)])):
        context = InputContext(path.uri, "x", pl.DataFrame, receipt(run).id)
        found = PolarsDeltaIoManager("unused").read(context).lazy().collect()
        assert sorted(found.rows(), key=repr) == sorted(expected, key=repr)
    info = json.loads(Path(path.uri, "_delta_log", f"{1:020}.json").read_text().partition("\n")[0])["commitInfo"]
    assert json.loads(info["userMetadata"])["dbxdec"]["kind"] == "files"
