"""What a reader gets of a Delta table: the rows that this run's producer returned, by the receipt of its commit."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, Field, Schema
from deltalake.schema import PrimitiveType
from polars.testing import assert_frame_equal

from dbxdec import DeltaMerge
from dbxdec.errors import NotWrittenError, RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import InputContext, ItemWrite, OutputContext, Receipt, Rows, WriteId

DAY = dt.date(2024, 1, 1)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return str(tmp_path / "t")


def lake(mode: Any = "append", **options: Any) -> PolarsDeltaIoManager:
    return PolarsDeltaIoManager("unused", mode=mode, **options)


def write_id(run: str = "1", item: str = "") -> WriteId:
    return WriteId("w", "job", run, "load", item)


def store(
    io: PolarsDeltaIoManager,
    uri: str,
    value: Any,
    run: str = "1",
    item: str = "",
    *,
    attempt: int = 1,
    build: str = "b",
) -> str:
    """Store `value` as the task `load` of a run would, and give back what is said of it."""
    return io.write(OutputContext(uri, Receipt(write_id(run, item), attempt, build, "parameters")), value).note


def read(uri: str, run: str = "1", rows: Rows = "run", item: str = "", started: int = 0) -> pl.DataFrame:
    """What a reader of the run gets."""
    found = lake().read(InputContext(uri, "x", pl.DataFrame, write_id(run, item), started, rows))
    assert isinstance(found, pl.DataFrame)
    return found


def together(uri: str, items: list[str], run: str = "1", rows: Rows = "run", *, apart: bool = False) -> Any:
    """What a reader of all iterations gets."""
    writes = [ItemWrite(write_id(run, item), uri, item.upper()) for item in items]
    return lake().read_items(InputContext(uri, "x", pl.DataFrame, write_id(run), 0, rows), writes, apart=apart)


def people(*rows: tuple[Any, ...]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema={"k": pl.String, "n": pl.Int64}, orient="row")


def foreign(uri: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the newest commit says of itself."""
    path = Path(uri, "_delta_log", f"{DeltaTable(uri).version():020}.json")
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for action in actions:
        if "commitInfo" in action:
            change(action["commitInfo"])
    path.write_text("\n".join(map(json.dumps, actions)) + "\n")


SLICES = {
    "day": (DAY, dt.date(2024, 1, 2)),
    "at": (dt.datetime(2024, 1, 1, 3, 4, 5, 6), dt.datetime(1999, 1, 1)),
    "zoned": (dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(1999, 1, 1, tzinfo=dt.UTC)),
    "n": (-5, 7),
    "f": (0.1, float("nan")),
    "d": (Decimal("-1.50"), Decimal("0.01")),
    "flag": (True, False),
    "text": ("x y/%'\"ü=", "p/3"),
}


class TestFrames:
    @pytest.mark.parametrize("between", [True, False])
    def test_an_append_is_its_rows(self, uri: str, between: bool) -> None:
        """Neither rows of earlier runs nor those of an append before the read are among them."""
        for run, n in (("1", 1), ("2", 2)):
            store(lake(), uri, people(("a", n)), run)
        if between:
            store(lake(), uri, people(("a", 3)), "3")
        assert read(uri, "2").rows() == [("a", 2)]
        assert sorted(read(uri, "2", "table").rows()) == [("a", 1), ("a", 2)]
        assert read(uri, "2", "changed").rows() == [("a", 2)]
        assert read(uri, "1").rows() == [("a", 1)]

    def test_an_overwrite_is_the_table(self, uri: str) -> None:
        """Its rows are all there are, also after a later run has replaced them."""
        for run, n in (("1", 1), ("2", 2)):
            store(lake("overwrite"), uri, people(("a", n)), run)
        for rows in ("run", "table", "changed"):
            assert read(uri, "1", rows).rows() == [("a", 1)]

    @pytest.mark.parametrize("empty", [True, False])
    def test_replaced_partitions_are_those_of_the_data(self, uri: str, empty: bool) -> None:
        """Rows of other partitions are none of the result, and an empty result is empty."""
        io = lake("overwrite", partition_by="k")
        store(io, uri, people(("a", 1), ("b", 1), (None, 1)), "1")
        new = people() if empty else people(("b", 2), (None, 2))
        store(io, uri, new, "2")
        assert_frame_equal(read(uri, "2"), new, check_row_order=False)
        assert read(uri, "2", "table").height == 3
        assert sorted(read(uri, "1")["n"]) == [1, 1, 1]

    @pytest.mark.parametrize("later", [None, "append", "overwrite"])
    @pytest.mark.parametrize(
        ("partition_by", "value"), [(None, "a"), (None, None), (None, ""), ("k", "a"), ("k", None)]
    )
    def test_a_slice_is_its_rows_alone(self, uri: str, partition_by: str | None, later: Any, value: str | None) -> None:
        """delta-rs rewrites rows of others in the same commit; what was added before the read is none of it either."""
        store(lake(partition_by=partition_by), uri, people(("a", 1), ("b", 1), (None, 1)), "1")
        io = lake("overwrite", partition_by=partition_by, replace={"k": value})
        store(io, uri, people((value, 2), (value, 3)), "2")
        if later is not None:
            store(lake(later), uri, people(("a", 9), ("b", 9)), "3")
        assert sorted(read(uri, "2").rows()) == [(value, 2), (value, 3)]

    def test_an_empty_slice_is_empty(self, uri: str) -> None:
        """Nothing in the place of what was there is a result too, with the table's columns."""
        store(lake(), uri, people(("a", 1), ("b", 1)), "1")
        store(lake("overwrite", replace={"k": "a"}), uri, people(), "2")
        assert_frame_equal(read(uri, "2"), people())
        assert read(uri, "2", "table").rows() == [("b", 1)]

    @pytest.mark.parametrize("partitioned", [True, False])
    @pytest.mark.parametrize("column", SLICES)
    def test_slices_of_all_types_are_told_apart(self, uri: str, column: str, partitioned: bool) -> None:
        """The values in the receipt are those of the column, however the log spells them."""
        values = SLICES[column]
        by = column if partitioned else None
        store(lake(partition_by=by), uri, pl.DataFrame({"id": [1, 2], column: values}), "1")
        for run, value in (("2", values[0]), ("3", values[1])):
            new = pl.DataFrame({"id": [int(run)], column: [value]})
            if partitioned:
                store(lake("overwrite", partition_by=by), uri, new, run)
            elif value == value:  # no predicate names NaN
                store(lake("overwrite", replace={column: value}), uri, new, run)
            else:
                continue
            assert_frame_equal(read(uri, run), new, check_dtypes=False)

    @pytest.mark.parametrize("by", [None, "*", "^k$"])
    def test_a_slice_by_a_column_whose_name_is_a_pattern_is_its_rows(self, uri: str, by: str | None) -> None:
        """Polars takes `*` and `^k$` for all columns that match: no row may be lost by that, nor be there as well."""
        rows = pl.DataFrame({"*": [1, 1, 2], "^k$": ["a", "b", "a"], "id": [1, 2, 3]})
        store(lake(partition_by=by), uri, rows, "1")
        io = lake("overwrite", replace={"*": 1, "^k$": "a"})
        new = pl.DataFrame({"*": [1], "^k$": ["a"], "id": [4]})
        store(io, uri, new, "2")
        assert_frame_equal(read(uri, "2"), new)
        assert sorted(read(uri, "2", "table")["id"]) == [2, 3, 4]
        store(lake("overwrite", replace={"^k$": "a"}), uri, new, "3")
        assert_frame_equal(read(uri, "3"), new)

    def test_many_partitions_are_told_by_files(self, uri: str) -> None:
        """A receipt carries no thousands of values."""
        rows = [(f"k{i}", i) for i in range(300)]
        io = lake("overwrite", partition_by="k")
        store(io, uri, people(*rows, ("other", 0)), "1")
        store(io, uri, people(*rows), "2")
        assert sorted(read(uri, "2").rows()) == sorted(rows)
        assert read(uri, "2", "table").height == 301
        assert Path(uri, "_delta_log", f"{1:020}.json").read_text().partition("\n")[0].count("k99") == 0

    def test_rows_of_a_table_with_rules(self, uri: str) -> None:
        """With a constraint, a column that is not null, and partitions of odd values, delta-rs writes."""
        kinds = {"id": "long", "p": "string", "v": "long"}
        fields = [Field(name, PrimitiveType(kind), nullable=name != "id") for name, kind in kinds.items()]
        DeltaTable.create(uri, Schema(fields), partition_by=["p"]).alter.add_constraint({"positive": "v > 0"})
        for run in ("1", "2"):
            frame = pl.DataFrame({"id": [int(run)] * 3, "p": ["p/3", None, "a=b"], "v": [1, 2, 3]})
            store(lake(), uri, frame, run)
        assert sorted(read(uri, "2").rows(), key=str) == sorted([(2, "p/3", 1), (2, None, 2), (2, "a=b", 3)], key=str)

    def test_columns_that_others_add_later_are_none_of_it(self, uri: str) -> None:
        """Rows have the columns that the table had with them; those that they lack are null."""
        io = lake(schema="add-columns")
        store(io, uri, pl.DataFrame({"a": [1]}), "1")
        store(io, uri, pl.DataFrame({"b": ["x"]}), "2")
        store(io, uri, pl.DataFrame({"c": [1.0]}), "3")
        assert read(uri, "1").to_dict(as_series=False) == {"a": [1]}
        assert read(uri, "2").to_dict(as_series=False) == {"a": [None], "b": ["x"]}

    def test_compaction_keeps_the_rows_and_a_vacuum_says_so(self, uri: str) -> None:
        """Files that were merged into others are still there, until they are vacuumed: then one sentence says it."""
        for run in ("1", "2"):
            store(lake(), uri, people(("a", int(run))), run)
        DeltaTable(uri).optimize.compact()
        assert read(uri, "2").rows() == [("a", 2)]
        DeltaTable(uri).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
        with pytest.raises(RunError, match=r"version 1 of .* can't be read any more: .* does not exist"):
            read(uri, "2")
        newest = lake().read(InputContext(uri, "x", pl.DataFrame)).lazy().collect()
        assert sorted(newest.rows()) == [("a", 1), ("a", 2)]

    @pytest.mark.parametrize("kind", [pl.Decimal(20, 0), pl.Struct({"inner": pl.List(pl.Decimal(20, 0))})], ids=str)
    @pytest.mark.parametrize("parted", [False, True])
    def test_long_decimals_are_found_though_the_log_has_them_rounded(self, uri: str, kind: Any, parted: bool) -> None:
        # delta-rs writes their bounds as floating-point numbers: 9007199254740992 for this one.
        long = Decimal(9007199254740993)
        values = [long] if kind == pl.Decimal(20, 0) else [{"inner": [long]}]
        frame = pl.DataFrame({"n": pl.Series(values, dtype=kind), "day": ["a"]})
        frame.write_delta(uri, delta_write_options={"partition_by": ["day"]} if parted else {})
        rows = lake().read(InputContext(uri, "x", pl.LazyFrame))
        number = pl.col("n") if kind == pl.Decimal(20, 0) else pl.col("n").struct.field("inner").list.first()
        for condition in (number == long, number > long - 1):
            assert rows.filter(condition).collect().height == 1

    def test_no_file_of_others_is_opened(self, uri: str) -> None:
        """Appends, partitions and slices are read without the files that other writes have left."""
        by = {"partition_by": "k"}
        store(lake(**by), uri, people(("a", 1), ("b", 1)), "1")
        store(lake(**by), uri, people(("c", 2)), "2")
        store(lake("overwrite", **by), uri, people(("d", 3)), "3")
        store(lake("overwrite", replace={"k": "e"}, **by), uri, people(("e", 4)), "4")
        for folder in ("k=a", "k=b"):
            for file in Path(uri, folder).iterdir():
                file.write_bytes(b"nothing to read")
        for run in ("2", "3", "4"):
            assert read(uri, run)["n"].to_list() == [int(run)]


class TestMerges:
    @pytest.fixture
    def merged(self, uri: str) -> str:
        properties = {"delta.enableChangeDataFeed": "true"}
        people(("a", 1), ("b", 1)).write_delta(uri, delta_write_options={"configuration": properties})
        store(lake(), uri, DeltaMerge(people(("b", 2), ("c", 2)), on="k"), "1")
        store(lake(), uri, people(("z", 9)), "2")
        return uri

    @pytest.mark.parametrize("rows", ["run", "table"])
    def test_a_merge_is_the_table_as_it_left_it(self, merged: str, rows: Rows) -> None:
        """It has no rows of its own; what comes later is not seen."""
        assert sorted(read(merged, "1", rows).rows()) == [("a", 1), ("b", 2), ("c", 2)]

    def test_what_it_has_written_is_known_from_the_change_feed(self, merged: str) -> None:
        """Inserted and updated rows, without those that it has only rewritten."""
        assert sorted(read(merged, "1", "changed").rows()) == [("b", 2), ("c", 2)]

    @pytest.mark.parametrize(("column", "value"), [("k", "x y"), ("k", "p/3"), ("k", None), ("ü", "ü"), ("%41", "a=b")])
    def test_what_it_has_written_is_found_in_any_partition(self, uri: str, column: str, value: str | None) -> None:
        """Files of changes lie in folders whose names encode the values, and those of the columns."""

        def rows(*pairs: tuple[str | None, int]) -> pl.DataFrame:
            return pl.DataFrame(list(pairs), schema={column: pl.String, "n": pl.Int64}, orient="row")

        store(lake(partition_by=column), uri, rows((value, 1), ("z", 2), (value, 5)), "0")
        DeltaTable(uri).alter.set_table_properties({"delta.enableChangeDataFeed": "true"})
        changed = [(value, 1), ("z", 3)]
        store(lake(), uri, DeltaMerge(rows(*changed), on="n"), "1")
        assert sorted(read(uri, "1", "changed").rows(), key=lambda row: row[1]) == changed
        store(lake(), uri, DeltaMerge(rows((value, 7)), on="n").when_not_matched_insert_all(), "2")
        assert read(uri, "2", "changed").rows() == [(value, 7)]
        store(lake(), uri, DeltaMerge(rows((value, 5), (value, 99)), on="n").when_matched_delete(), "3")
        assert read(uri, "3", "changed").rows() == []
        store(lake(), uri, DeltaMerge(rows((value, 99)), on="n").when_matched_delete(), "4")
        assert read(uri, "4", "changed").rows() == []
        assert sorted(read(uri, "4")["n"]) == [1, 2, 3, 7]

    def test_without_a_feed_that_is_an_error(self, uri: str) -> None:
        """The message says how to get one."""
        store(lake(), uri, DeltaMerge(people(("b", 2)), on="k"))
        with pytest.raises(RunError, match="the table does not record them") as error:
            read(uri, rows="changed")
        assert "delta.enableChangeDataFeed" in str(error.value)
        assert read(uri).rows() == [("b", 2)]


class TestRetries:
    @pytest.mark.parametrize("later", [people(("a", 7)), people(), None], ids=["other rows", "no rows", "None"])
    @pytest.mark.parametrize("mode", ["append", "error", "ignore"])
    def test_a_retry_leaves_what_was_committed(self, uri: str, mode: Any, later: Any) -> None:
        """Readers get the rows of the attempt that was first, whatever a later one returns."""
        store(lake(mode), uri, people(("a", 1)))
        assert store(lake(mode), uri, later, attempt=2) == "already written by attempt 1"
        assert read(uri).rows() == [("a", 1)]

    def test_a_retry_of_an_overwrite_that_has_nothing_to_write_leaves_it(self, uri: str) -> None:
        """None says that there is nothing to do, not that what an earlier attempt did was nothing."""
        store(lake("overwrite"), uri, people(("a", 1)))
        assert store(lake("overwrite"), uri, None, attempt=2) == "already written by attempt 1"
        assert read(uri).rows() == [("a", 1)]

    def test_a_retry_of_an_overwrite_replaces_it(self, uri: str) -> None:
        """Readers get the rows of the newest attempt."""
        for attempt in (1, 2):
            store(lake("overwrite"), uri, people(("a", attempt)), attempt=attempt)
        assert read(uri).rows() == [("a", 2)]

    def test_nothing_then_something_is_something(self, uri: str) -> None:
        """A repair may find rows where there were none; until then the reader gets none."""
        store(lake(), uri, people(("z", 0)), "0")
        store(lake(), uri, None)
        with pytest.raises(NotWrittenError, match="the task `load` wrote nothing"):
            read(uri)
        store(lake(), uri, people(("a", 1)), attempt=2)
        assert read(uri).rows() == [("a", 1)]

    def test_what_another_build_wrote_is_refused_without_harm_to_others(self, uri: str) -> None:
        """No hint asks to restore over commits of others."""
        store(lake(), uri, people(("a", 1)), "0")
        store(lake(), uri, people(("a", 2)))
        with pytest.raises(RunError, match="another build") as error:
            store(lake(), uri, people(("a", 3)), attempt=2, build="c")
        assert "restore the table to version 0" in str(error.value)
        store(lake(), uri, people(("z", 9)), "2")
        with pytest.raises(RunError, match="another build") as error:
            store(lake(), uri, people(("a", 3)), attempt=2, build="c")
        assert "restore" not in str(error.value)
        assert "start a new run" in str(error.value)


class TestKept:
    def test_what_is_kept_is_the_table_as_it_was_then(self, uri: str) -> None:
        """With mode="ignore" a reader gets the table at the time of the write, and nothing of it was written."""
        store(lake(), uri, people(("a", 1)), "0")
        for attempt in (1, 2):
            assert "kept" in store(lake("ignore"), uri, people(("b", 2)), attempt=attempt)
        store(lake(), uri, people(("z", 9)), "2")
        assert read(uri).rows() == [("a", 1)]
        assert read(uri, rows="table").rows() == [("a", 1)]
        assert_frame_equal(read(uri, rows="changed"), people())

    def test_what_is_created_is_the_task_s_own(self, uri: str) -> None:
        """The first write with mode="ignore" is a write like others."""
        store(lake("ignore"), uri, people(("b", 2)))
        store(lake(), uri, people(("z", 9)), "2")
        for rows in ("run", "table", "changed"):
            assert read(uri, rows=rows).rows() == [("b", 2)]


class TestProof:
    """None is what a parameter `| None` gets where NotWrittenError is raised: only with proof."""

    def test_a_run_that_wrote_nothing_is_told_from_one_that_did(self, uri: str) -> None:
        """The log, complete back to the run's start, has neither receipt nor transaction."""
        for run in range(120):
            store(lake(), uri, people(("a", run)), str(run))
        with pytest.raises(NotWrittenError):
            read(uri, "other")
        assert read(uri, "0").rows() == [("a", 0)]

    def test_one_commit_with_an_old_time_ends_no_search(self, uri: str) -> None:
        """A clock that is two hours behind, of another writer or of this one, hides no receipt."""
        store(lake(), uri, people(("a", 1)))
        foreign(uri, lambda info: info.update(timestamp=info["timestamp"] - 7_200_000))
        started = DeltaTable(uri).history(1)[0]["timestamp"] + 7_000_000
        for _ in range(12):
            store(lake(), uri, people(("z", 9)), "2")
            foreign(uri, lambda info: info.update(timestamp=info["timestamp"] - 7_200_000))
        assert read(uri, started=started).rows() == [("a", 1)]

    def test_a_transaction_without_a_receipt_is_an_error(self, uri: str) -> None:
        """A checkpoint and a cleaned log leave the transaction, which proves the write."""
        for mode in ("append", "overwrite"):
            path = f"{uri}-{mode}"
            store(lake(mode), path, people(("a", 1)))
            store(lake(mode), path, people(("a", 2)), "2")
            table = DeltaTable(path)
            table.create_checkpoint()
            Path(path, "_delta_log", f"{0:020}.json").unlink()
            with pytest.raises(RunError, match="has been cleaned from the log") as error:
                read(path)
            assert not isinstance(error.value, NotWrittenError)

    def test_a_log_that_does_not_reach_back_is_an_error(self, uri: str) -> None:
        """Where commits since the run's start have been cleaned, nobody can tell."""
        for run in ("1", "2"):
            store(lake(), uri, people(("a", 1)), run)
        started = DeltaTable(uri).history(1)[0]["timestamp"]
        DeltaTable(uri).create_checkpoint()
        Path(uri, "_delta_log", f"{0:020}.json").unlink()
        with pytest.raises(RunError, match="no longer reaches back to the start of this run") as error:
            read(uri, "3", started=started)
        assert not isinstance(error.value, NotWrittenError)
        with pytest.raises(NotWrittenError):
            read(uri, "3", started=started + 10 * 24 * 3_600_000)


class TestPathsOfSpark:
    """Spark leaves letters beyond ASCII in the paths of a log, and delta-rs encodes them where it removes a file."""

    @pytest.fixture
    def spelled(self, uri: str) -> str:
        """A table with a partition whose path is spelled as Spark does."""
        pl.DataFrame({"k": ["u", "z"], "n": [1, 2]}).write_delta(uri, delta_write_options={"partition_by": ["k"]})
        path = Path(uri, "_delta_log", f"{0:020}.json")
        path.write_text(
            path.read_text(encoding="utf-8").replace("k=u/", "k=ü/").replace('"u"', '"ü"'), encoding="utf-8"
        )
        Path(uri, "k=u").rename(Path(uri, "k=ü"))
        return uri

    def test_appends_leave_them_alone(self, spelled: str) -> None:
        """The run reads its own rows, and the table all of them."""
        store(lake(), spelled, people(("ü", 3)))
        assert read(spelled).rows() == [("ü", 3)]
        assert sorted(read(spelled, rows="table").rows()) == [("z", 2), ("ü", 1), ("ü", 3)]

    @pytest.mark.parametrize("value", ["frame", "merge"])
    @pytest.mark.parametrize("options", [{}, {"partition_by": "k"}, {"replace": {"k": "ü"}}, {"replace": {"n": 1}}])
    def test_writes_that_take_files_away_are_refused(self, spelled: str, value: str, options: dict[str, Any]) -> None:
        """The old rows would stay beside the new ones: nothing is written, nor is the function run."""
        io, rows = lake("overwrite", **options), people(("ü", 1))
        with pytest.raises(RunError, match=r"has the path k=ü/.* its rows would stay"):
            store(io, spelled, rows if value == "frame" else DeltaMerge(rows, on="n"))
        context = OutputContext(spelled, Receipt(write_id(), 1, "b", "p"), ("polars.DataFrame",))
        with pytest.raises(RunError, match=r"has the path k=ü/.* its rows would stay"):
            io.preflight(context)
        assert DeltaTable(spelled).version() == 0


class TestRestores:
    @pytest.mark.parametrize("by_time", [False, True])
    def test_a_restore_below_a_write_voids_it(self, uri: str, by_time: bool) -> None:
        """A reader is told so, and a retry writes anew, although the table keeps the transaction."""
        store(lake(), uri, people(("z", 0)), "0")
        moment = DeltaTable(uri).history(1)[0]["timestamp"]
        store(lake(), uri, people(("a", 1)))
        foreign(uri, lambda info: info.update(timestamp=moment + 500_000))
        DeltaTable(uri).restore(0)
        if by_time:
            foreign(uri, lambda info: info.update(operationParameters={"datetime": str(moment + 10)}))
        with pytest.raises(RunError, match=r"wrote version 1 .* the RESTORE of version 2 has undone it") as error:
            read(uri)
        assert not isinstance(error.value, NotWrittenError)
        assert store(lake(), uri, people(("a", 1)), attempt=2, build="another") == ""
        assert sorted(read(uri, rows="table").rows()) == [("a", 1), ("z", 0)]
        assert read(uri).rows() == [("a", 1)]
        assert store(lake(), uri, people(("a", 1)), attempt=3, build="another") == "already written by attempt 2"

    def test_an_attempt_that_wrote_nothing_is_no_proof_where_a_later_one_was_undone(self, uri: str) -> None:
        """A reader is told so, and gets no None; a retry writes its rows anew."""
        store(lake(), uri, people(("z", 0)), "0")
        store(lake(), uri, None, attempt=1)
        store(lake(), uri, people(("a", 1)), attempt=2)
        DeltaTable(uri).restore(1)
        with pytest.raises(RunError, match=r"wrote version 2 .* the RESTORE of version 3 has undone it") as error:
            read(uri)
        assert not isinstance(error.value, NotWrittenError)
        assert store(lake(), uri, people(("a", 1)), attempt=3) == ""
        assert read(uri).rows() == [("a", 1)]
        assert sorted(read(uri, rows="table").rows()) == [("a", 1), ("z", 0)]
        DeltaTable(uri).restore(1)
        assert store(lake(), uri, None, attempt=4) == "nothing to write"
        with pytest.raises(NotWrittenError):
            read(uri)

    def test_a_restore_above_a_write_keeps_it(self, uri: str) -> None:
        """Only what came between is undone, also where that was a restore itself."""
        store(lake(), uri, people(("a", 1)))
        store(lake(), uri, people(("b", 2)), "2")
        DeltaTable(uri).restore(0)
        DeltaTable(uri).restore(1)
        assert read(uri).rows() == [("a", 1)]
        assert read(uri, "2").rows() == [("b", 2)]
        assert store(lake(), uri, people(("b", 2)), "2", attempt=2) == "already written by attempt 1"

    def test_a_restore_that_says_no_version_is_an_error(self, uri: str) -> None:
        """Whether it has undone the write can't be told: neither rows nor None."""
        store(lake(), uri, people(("z", 0)), "0")
        store(lake(), uri, people(("a", 1)))
        DeltaTable(uri).restore(0)
        foreign(uri, lambda info: info.update(operationParameters={"timestamp": "2024-01-01 00:00:00"}))
        for attempt in (lambda: read(uri), lambda: store(lake(), uri, people(("a", 1)), attempt=2)):
            with pytest.raises(RunError, match="a RESTORE that does not say which version"):
                attempt()

    @pytest.mark.parametrize("before", [-900, 0, 900])
    def test_a_restore_to_nearly_the_moment_of_a_write_is_an_error(self, uri: str, before: int) -> None:
        """A storage has other times than the log, by which the engine chose the version: nobody can tell which."""
        store(lake(), uri, people(("a", 1)))
        moment = DeltaTable(uri).history(1)[0]["timestamp"]
        store(lake(), uri, people(("z", 0)), "0")
        DeltaTable(uri).restore(0)
        foreign(uri, lambda info: info.update(operationParameters={"datetime": str(moment - before)}))
        for attempt in (lambda: read(uri), lambda: store(lake(), uri, people(("a", 1)), attempt=2)):
            with pytest.raises(RunError, match="a RESTORE that does not say which version"):
                attempt()
        foreign(uri, lambda info: info.update(operationParameters={"datetime": str(moment + 900_000)}))
        assert read(uri).rows() == [("a", 1)]

    def test_a_merge_that_was_undone_merges_again(self, uri: str) -> None:
        """A repair mends what a restore has taken back."""
        store(lake(), uri, people(("a", 1)), "0")
        store(lake(), uri, DeltaMerge(people(("a", 5)), on="k"))
        DeltaTable(uri).restore(0)
        store(lake(), uri, DeltaMerge(people(("a", 5)), on="k"), attempt=2)
        assert read(uri).rows() == [("a", 5)]


class TestItems:
    def test_all_iterations_together_are_what_they_returned(self, uri: str) -> None:
        """Rows of other runs, before, between and after, are none of them; nor is an iteration that had none."""
        store(lake(), uri, people(("z", 0)), "0", "a")
        for n, item in enumerate(("a", "b")):
            store(lake(), uri, people((item, n)), item=item)
            store(lake(), uri, people((item, 9)), "2", item)
        store(lake(), uri, None, item="c")
        assert together(uri, ["a", "b", "c"]).rows() == [("a", 0), ("b", 1)]
        assert together(uri, ["b", "a"]).rows() == [("b", 1), ("a", 0)]
        found = together(uri, ["a", "b", "c"], apart=True)
        assert [one.rows() for one in found[:2]] == [[("a", 0)], [("b", 1)]]
        assert isinstance(found[2], NotWrittenError)
        with pytest.raises(NotWrittenError):
            together(uri, ["c"])

    def test_partitions_of_iterations_are_put_together(self, uri: str) -> None:
        """Each has replaced its own, whatever other runs have in the table."""
        io = lake("overwrite", partition_by="k")
        store(io, uri, people(("a", 0), ("b", 0), ("z", 0)), "0")
        store(io, uri, people(("a", 1)), item="a")
        store(io, uri, people(("z", 9)), "2")
        store(io, uri, people(("b", 2), ("c", 2)), item="b")
        assert sorted(together(uri, ["a", "b"]).rows()) == [("a", 1), ("b", 2), ("c", 2)]
        assert sorted(together(uri, ["a", "b"], rows="table")["k"]) == ["a", "b", "c", "z"]

    @pytest.mark.parametrize("many", [False, True])
    @pytest.mark.parametrize("apart", [False, True])
    def test_two_that_replaced_the_same_are_an_error_that_names_both(self, uri: str, many: bool, apart: bool) -> None:
        """One has replaced the rows of the other, and the table has lost them."""
        io = lake("overwrite", partition_by="k")
        rest = [(f"k{i}", i) for i in range(300)] if many else []
        store(io, uri, people(("x", 0)), "0")
        store(io, uri, people(("x", 1), *rest), item="a")
        store(io, uri, people(("x", 2), *rest), item="b")
        with pytest.raises(RunError, match="the iterations for A and B wrote the same part"):
            together(uri, ["a", "b"], apart=apart)

    def test_merges_are_the_table_as_the_last_left_it(self, uri: str) -> None:
        """Of a mixture nobody can tell which rows are meant."""
        store(lake(), uri, DeltaMerge(people(("a", 1)), on="k"), item="a")
        store(lake(), uri, DeltaMerge(people(("b", 2)), on="k"), item="b")
        assert sorted(together(uri, ["a", "b"]).rows()) == [("a", 1), ("b", 2)]
        store(lake(), uri, people(("c", 3)), item="c")
        with pytest.raises(RunError, match="some iterations of the task `load` returned rows and some a merge"):
            together(uri, ["a", "b", "c"])
        assert together(uri, ["a", "b", "c"], rows="table").height == 3

    def test_columns_that_an_iteration_adds_are_null_in_the_others(self, uri: str) -> None:
        """All iterations have the columns of the last."""
        io = lake(schema="add-columns")
        store(io, uri, pl.DataFrame({"a": [1]}), item="a")
        store(io, uri, pl.DataFrame({"b": [2]}), item="b")
        assert together(uri, ["a", "b"]).rows() == [(1, None), (None, 2)]

    def test_an_empty_one_has_the_columns_of_the_table(self, uri: str) -> None:
        """A for-each over nothing gives no rows where there is a table, and elsewhere says that there is none."""
        context = InputContext(uri, "x", pl.DataFrame)
        with pytest.raises(NotWrittenError):
            lake().empty(context)
        store(lake(), uri, people(("a", 1)))
        assert_frame_equal(lake().empty(context), people())


def test_a_lazy_frame_stays_one_and_keeps_its_version(uri: str) -> None:
    """What later writes do between the read and the query changes nothing."""
    frames = {}
    for run in ("1", "2", "3"):
        store(lake("overwrite"), uri, people(("a", int(run))), run)
    for run in ("1", "2", "3"):
        frames[run] = lake().read(InputContext(uri, "x", pl.LazyFrame, write_id(run)))
    store(lake("overwrite"), uri, people(("a", 4)), "4")
    assert all(isinstance(frame, pl.LazyFrame) for frame in frames.values())
    assert [frame.lazy().collect()["n"].to_list() for frame in frames.values()] == [[1], [2], [3]]


def test_items_pinned_at_several_versions_keep_theirs(uri: str) -> None:
    """Lazy frames of slices, each at the version of its own write."""
    io = lake("append")
    store(io, uri, people(("a", 0), ("b", 0)), "0")
    for item in ("a", "b"):
        store(lake("overwrite", replace={"k": item}), uri, people((item, 1)), item=item)
    store(lake("overwrite"), uri, people(("a", 9)), "2")
    context = replace(InputContext(uri, "x", pl.LazyFrame, write_id()))
    writes = [ItemWrite(write_id(item=item), uri, item) for item in ("a", "b")]
    assert sorted(lake().read_items(context, writes, apart=False).collect().rows()) == [("a", 1), ("b", 1)]
