"""PolarsDeltaIoManager on real tables: modes, receipts, pinned reads, merges, partitions, crashes."""

from __future__ import annotations

import datetime as dt
import json
import logging
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable
from deltalake.table import TableMerger
from polars.testing import assert_frame_equal

from dbxdec import DeltaMerge, bundle_variable
from dbxdec.errors import DbxdecError, NotWrittenError, RunError, TargetExistsError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import Rows
from dbxdec.io_managers.running import current_receipt, running
from dbxdec.model import variables
from delta_tools import frame, output, receipt, stored, wanted
from repository import TESTS


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "lake" / "table"


def manager(mode: Any = "overwrite", **options: Any) -> PolarsDeltaIoManager:
    return PolarsDeltaIoManager("unused", mode=mode, **options)


LAZY = pytest.mark.parametrize("lazy", [False, True], ids=["DataFrame", "LazyFrame"])


def as_given(data: pl.DataFrame, lazy: bool) -> Any:
    return data.lazy() if lazy else data


class TestModes:
    @LAZY
    def test_overwrite_replaces(self, table: Path, lazy: bool) -> None:
        """A second write in mode "overwrite" leaves only its own rows."""
        for run, values in (("1", (1, 2)), ("2", (3,))):
            result = manager().write(output(table, receipt(run)), as_given(frame(*values), lazy))
        assert stored(table) == [3]
        assert (result.version, result.rows) == (1, 1)

    @LAZY
    def test_append_adds(self, table: Path, lazy: bool) -> None:
        """Two runs in mode "append" leave the rows of both."""
        for run in ("1", "2"):
            manager("append").write(output(table, receipt(run)), as_given(frame(int(run)), lazy))
        assert stored(table) == [1, 2]

    def test_error_refuses_an_existing_target_before_the_function_runs(self, table: Path) -> None:
        """In mode "error" preflight names the table that another run has written; nothing is changed."""
        io = manager("error")
        io.preflight(output(table, receipt("1")))
        io.write(output(table, receipt("1")), frame(1))
        with pytest.raises(TargetExistsError, match=str(table)):
            io.preflight(output(table, receipt("2")))
        with pytest.raises(TargetExistsError, match=str(table)):
            io.write(output(table, receipt("2")), frame(2))
        assert stored(table) == [1]

    def test_error_passes_a_retry_of_the_write_that_made_the_table(self, table: Path) -> None:
        """The same run's second attempt passes preflight, and writes nothing twice."""
        io = manager("error")
        io.write(output(table), frame(1))
        io.preflight(output(table, receipt(attempt=2)))
        assert "already written by attempt 1" in io.write(output(table, receipt(attempt=2)), frame(1)).note
        assert stored(table) == [1]

    @LAZY
    def test_ignore_keeps_what_is_there(self, table: Path, lazy: bool) -> None:
        """Mode "ignore" makes a missing table and keeps an existing one, which readers of the run then get."""
        io = manager("ignore")
        io.write(output(table, receipt("1")), as_given(frame(1), lazy))
        assert "kept" in io.write(output(table, receipt("2")), as_given(frame(2), lazy)).note
        assert io.read(wanted(table, receipt("2"))).lazy().collect()["x"].to_list() == [1]

    def test_a_value_that_is_no_frame_is_refused_by_its_type(self, table: Path) -> None:
        """An unsupported result is named, and no table is made."""
        with pytest.raises(RunError, match=r"builtins\.dict"):
            manager().write(output(table), {"x": [1]})
        assert not table.exists()

    def test_none_writes_no_rows_and_says_so(self, table: Path) -> None:
        """None leaves the table as it is; a reader of the run learns that nothing was written."""
        manager().write(output(table, receipt("1")), frame(1))
        assert manager().write(output(table, receipt("2")), None).note == "nothing to write"
        assert stored(table) == [1]
        with pytest.raises(NotWrittenError):
            manager().read(wanted(table, receipt("2")))


class TestExactlyOnce:
    def test_a_retry_adds_nothing(self, table: Path) -> None:
        """A second attempt of an append that was committed is dropped, and says which attempt wrote."""
        io = manager("append")
        io.write(output(table), frame(1))
        assert io.write(output(table, receipt(attempt=2)), frame(1)).note == "already written by attempt 1"
        assert stored(table) == [1]

    def test_an_older_run_repaired_later_is_not_dropped(self, table: Path) -> None:
        """Runs append in any order: a repair of run 5 lands behind run 9."""
        for run in ("9", "5"):
            manager("append").write(output(table, receipt(run)), frame(int(run)))
        assert stored(table) == [5, 9]

    @pytest.mark.parametrize("changed", [{"build": "c" * 64}, {"parameters": "q"}], ids=["build", "parameters"])
    def test_a_repair_with_other_code_or_parameters_fails_loudly(self, table: Path, changed: dict[str, str]) -> None:
        """A repeated append whose result may differ is neither dropped in silence nor added."""
        io = manager("append")
        io.write(output(table), frame(1))
        with pytest.raises(RunError, match="already written"):
            io.preflight(output(table, receipt(attempt=2, **changed)))
        with pytest.raises(RunError, match=next(iter(changed)).removesuffix("s")):
            io.write(output(table, receipt(attempt=2, **changed)), frame(2))
        assert stored(table) == [1]

    @LAZY
    @pytest.mark.parametrize("exists", [True, False], ids=["existing table", "new table"])
    def test_a_zombie_beside_its_retry_adds_once(self, table: Path, exists: bool, lazy: bool) -> None:
        """Attempts of one append that commit at the same time add its rows once."""
        if exists:
            manager("append").write(output(table, receipt("0")), frame(0))

        def attempt(number: int) -> None:
            manager("append").write(output(table, receipt(attempt=number)), as_given(frame(1), lazy))

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(attempt, range(1, 7)))
        assert stored(table) == ([0, 1] if exists else [1])

    @LAZY
    def test_appends_of_many_runs_at_once_all_land(self, table: Path, lazy: bool) -> None:
        """Concurrent appends of different runs conflict with nobody, on a table that none of them finds."""

        def append(run: int) -> None:
            manager("append").write(output(table, receipt(str(run))), as_given(frame(run), lazy))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(append, range(16)))
        assert stored(table) == list(range(16))

    def test_attempts_in_two_processes_at_once_append_each_run_once(self, table: Path) -> None:
        """A zombie process that goes through the same runs as its retry doubles none of them, nor loses one."""
        writers = [Writer(table, attempt, "for run in range(8): write(run)") for attempt in (1, 2)]
        for writer in writers:
            writer.start()
        assert [writer.wait() for writer in writers] == [0, 0]
        assert stored(table) == sorted([*range(8)] * 1000)

    def test_a_process_killed_at_any_moment_and_retried_appends_once(self, table: Path) -> None:
        """Writers killed amid their appends, and retried from the last one that they reported, leave each row once."""
        first = 0
        for attempt, seconds in enumerate((0.002, 0.015, 0.05, 0.1), start=1):
            writer = Writer(table, attempt, f"for run in itertools.count({first}): write(run)")
            writer.start()
            time.sleep(seconds)  # any moment will do: the writer never stops by itself
            first += len(writer.kill())
        for run in (first, first + 1):
            manager("append").write(output(table, receipt(str(run), attempt=9)), frame(*[run] * 1000))
        assert stored(table) == sorted([*range(first + 2)] * 1000)

    @pytest.mark.parametrize(("moment", "attempt_that_wrote"), [("before", 2), ("after", 1)])
    def test_a_kill_just_before_or_after_the_commit_is_retried_right(
        self, table: Path, moment: str, attempt_that_wrote: int
    ) -> None:
        """Rows of a process that died in its query come from the retry; those of one that had committed stay."""
        manager("append").write(output(table, receipt("0")), frame(0))
        body = {
            "before": "io.write(context(1), frame(1).lazy().map_batches(lambda data: die()))",
            "after": "once.result_of = rows.committed = die; io.write(context(1), frame(1))",
        }
        writer = Writer(table, 1, body[moment])
        writer.start()
        assert writer.wait() == -signal.SIGKILL
        note = manager("append").write(output(table, receipt("1", attempt=2)), frame(1)).note
        assert note == ("already written by attempt 1" if attempt_that_wrote == 1 else "")
        assert stored(table) == [0, 1]

    def test_a_retry_after_a_checkpoint_and_a_cleaned_log_adds_nothing(self, table: Path) -> None:
        """The transaction identifier outlives the commit that it came with."""
        for run in ("1", "2", "3"):
            manager("append").write(output(table, receipt(run)), frame(int(run)))
        DeltaTable(str(table)).create_checkpoint()
        for version in (0, 1):
            (table / "_delta_log" / f"{version:020}.json").unlink()
        note = manager("append").write(output(table, receipt("1", attempt=2)), frame(1)).note
        assert note.startswith("already written by an earlier attempt, whose receipt has been cleaned from the log")
        assert stored(table) == [1, 2, 3]

    def test_a_retry_that_finds_nothing_left_to_do_keeps_what_was_written(self, table: Path) -> None:
        """None from a second attempt does not hide the rows that the first one appended from the run's readers."""
        io = manager("append")
        io.write(output(table), frame(1))
        assert io.write(output(table, receipt(attempt=2)), None).note == "already written by attempt 1"
        assert io.read(wanted(table, receipt())).lazy().collect()["x"].to_list() == [1]

    def test_a_reader_behind_a_retry_gets_the_first_attempts_version(self, table: Path) -> None:
        """What other runs append between an attempt and its retry is not seen by the run's readers."""
        io = manager("append")
        io.write(output(table), frame(1))
        io.write(output(table, receipt("2")), frame(2))
        io.write(output(table, receipt(attempt=2)), frame(1))
        assert io.read(wanted(table, receipt())).lazy().collect()["x"].to_list() == [1]

    def test_an_overwrite_leaves_no_row_that_was_added_meanwhile(self, table: Path) -> None:
        """The run's readers would take it for one of the run: an overwrite that an append beats is an error too."""
        io = manager()
        io.write(output(table, receipt("1")), frame(1))

        def beaten(data: pl.DataFrame) -> pl.DataFrame:
            manager("append").write(output(table, receipt("3")), frame(3))
            return data

        with pytest.raises(RunError, match="another writer changed") as refused:
            io.write(output(table, receipt("2")), frame(2).lazy().map_batches(beaten))
        assert len(str(refused.value).splitlines()) == 2, "one sentence and its hint"
        assert stored(table) == [1, 3]
        io.write(output(table, receipt("2", attempt=2)), frame(2))
        assert stored(table) == [2]

    def test_a_concurrent_overwrite_is_an_error_that_a_retry_mends(self, table: Path) -> None:
        """An overwrite that another writer beats says so and writes nothing; the same task may try again."""
        io = manager()
        io.write(output(table, receipt("1")), frame(1))

        def beaten(data: pl.DataFrame) -> pl.DataFrame:
            io.write(output(table, receipt("3")), frame(3))
            return data

        with pytest.raises(RunError, match=r"(?s)another writer changed .*a retry"):
            io.write(output(table, receipt("2")), frame(2).lazy().map_batches(beaten))
        assert stored(table) == [3]
        io.write(output(table, receipt("2", attempt=2)), frame(2))
        assert stored(table) == [2]


class Writer:
    """A process of its own that waits for `start` and then runs a line of Python, which may call `write(run)`."""

    PROGRAM = textwrap.dedent(
        """
        import itertools, os, signal, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        import deltalake, polars
        from delta_tools import frame, output, receipt
        from dbxdec.io_managers import PolarsDeltaIoManager
        from dbxdec.io_managers.delta.polars import once, rows

        io = PolarsDeltaIoManager("unused", mode="append")

        def context(run):
            return output(Path(sys.argv[2]), receipt(str(run), attempt=int(sys.argv[3])))

        def die(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)

        def write(run):
            rows = frame(*[run] * 1000)
            io.write(context(run), rows.lazy() if run % 2 else rows)
            print(run, flush=True)

        print("ready", flush=True)
        sys.stdin.readline()
        """
    )

    def __init__(self, table: Path, attempt: int, body: str) -> None:
        command = [sys.executable, "-c", self.PROGRAM + body, str(TESTS), str(table), str(attempt)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def kill(self) -> list[str]:
        """Kill the process; the runs that it has reported."""
        self.process.send_signal(signal.SIGKILL)
        reported, _ = self.process.communicate()
        assert self.process.returncode == -signal.SIGKILL
        # A line without its end is a report that the kill cut short.
        return [line for line in reported.splitlines(keepends=True) if line.endswith("\n")]

    def wait(self) -> int:
        self.process.communicate()
        return self.process.returncode


class TestReading:
    def test_a_reader_gets_the_version_that_this_run_wrote(self, table: Path) -> None:
        """What another run writes afterwards is not seen by this run's readers, however much that is."""
        manager().write(output(table, receipt("1")), frame(1))
        for run in range(2, 30):
            manager().write(output(table, receipt(str(run))), frame(run))
        assert manager().read(wanted(table, receipt("1"))).lazy().collect()["x"].to_list() == [1]
        assert manager().read(wanted(table)).lazy().collect()["x"].to_list() == [29]

    def test_a_run_that_kept_a_table_reads_it_and_one_that_did_not_run_does_not(self, table: Path) -> None:
        """With mode="ignore" too a reader gets nothing of a producer that was left out."""
        io = manager("ignore")
        io.write(output(table, receipt("1")), frame(1))
        with pytest.raises(NotWrittenError):
            io.read(wanted(table, receipt("2")))
        for attempt in (1, 2):
            assert "kept" in io.write(output(table, receipt("2", attempt=attempt)), frame(2)).note
        manager("append").write(output(table, receipt("3")), frame(3))
        assert io.read(wanted(table, receipt("2"))).lazy().collect()["x"].to_list() == [1]
        assert io.write(output(table, receipt("1", attempt=2)), frame(1)).note == "already written by attempt 1"

    def test_an_older_runs_table_is_never_read_by_accident(self, table: Path) -> None:
        """Where this run's producer wrote nothing, the table of an older run is an error and not a result."""
        manager().write(output(table, receipt("1")), frame(1))
        with pytest.raises(NotWrittenError, match="the task `task` wrote nothing"):
            manager().read(wanted(table, receipt("2")))

    def test_a_missing_table_is_an_error_that_names_it(self, table: Path) -> None:
        """A table given as an input that is not there is named with its path and parameter."""
        with pytest.raises(NotWrittenError, match=f"nothing at {table}.*`frame`"):
            manager().read(wanted(table))
        with pytest.raises(NotWrittenError):
            manager().read(wanted(table, receipt()))

    @pytest.mark.parametrize("name", ["a b", "50%", "größe", "日本 {1}", "a+b&c;d'e", "C#", "# 5%~é"])
    def test_a_path_of_the_machine_may_have_spaces_and_any_letters(self, tmp_path: Path, name: str) -> None:
        """Written, read as one write has returned it and as a whole table, partitions included."""
        table = tmp_path / name / "table"
        data = pl.DataFrame({"part": ["a b/é%20", "z"], "x": [1, 2]})
        io = manager("append", partition_by="part")
        for run in ("1", "2"):
            assert io.write(output(table, receipt(run)), data).rows == 2
        for run in ("1", "2"):
            assert sorted(io.read(wanted(table, receipt(run))).lazy().collect().rows()) == data.rows()
        whole = io.read(replace(wanted(table, receipt("2")), rows="table")).lazy().collect()
        assert sorted(whole.rows()) == sorted([*data.rows(), *data.rows()])

    @pytest.mark.parametrize("relative", [False, True])
    def test_whatever_makes_a_table_makes_it_at_a_path_with_a_hash(
        self, tmp_path: Path, relative: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rows, a definition, a merge, an empty query; nothing beside it."""
        monkeypatch.chdir(tmp_path)
        folder = Path("C#/a b#c") if relative else tmp_path / "C#/a b#c"
        feed = {"properties": {"delta.enableChangeDataFeed": True}, "comment": "x"}
        for name, options, value in (
            ("rows", {}, frame(1)),
            ("lazy", {}, frame(1).lazy()),
            ("defined", feed, frame(1)),
            ("merged", {}, DeltaMerge(frame(1), on="x")),
            ("ruled", {"constraints": {"it": "x > 0"}}, frame(1).lazy()),
        ):
            io = manager("append", **options)
            for run in ("1", "2"):
                context = output(folder / name, receipt(run), ("polars.LazyFrame", "dbxdec.DeltaMerge"))
                io.preflight(context)
                assert (io.write(context, value).rows or 1) == 1
            rows = io.read(wanted(folder / name)).lazy().collect().height
            assert rows == (1 if name == "merged" else 2)
            log = io.key_log(str(folder / name))
            assert log is not None
        assert [one.name for one in tmp_path.iterdir()] == ["C#"]
        assert sorted(one.name for one in (tmp_path / "C#/a b#c").iterdir()) == sorted(
            ["rows", "lazy", "defined", "merged", "ruled"]
        )

    @pytest.mark.parametrize("name", ["a?b", "a[1]", "a|b", "a\\b", "a%20b"])
    def test_a_path_that_delta_rs_takes_for_another_is_refused_before_anything_is_made(
        self, tmp_path: Path, name: str
    ) -> None:
        """It would lose the log of one, and panic at another."""
        table = tmp_path / name
        for refused in (manager().preflight, lambda context: manager().write(context, frame(1))):
            with pytest.raises(RunError, match="in a local path"):
                refused(output(table))
        assert not table.exists()

    def test_the_annotation_chooses_the_type(self, table: Path) -> None:
        """`pl.DataFrame` gives a DataFrame, anything else a LazyFrame."""
        manager().write(output(table), frame(1))
        assert isinstance(manager().read(wanted(table)), pl.DataFrame)
        assert isinstance(manager().read(wanted(table, annotation=pl.LazyFrame)), pl.LazyFrame)
        assert isinstance(manager().read(wanted(table, annotation=Any)), pl.LazyFrame)

    def test_the_newest_receipt_of_a_run_counts(self, table: Path) -> None:
        """After a repair readers get what the repair wrote."""
        manager().write(output(table), frame(1))
        manager().write(output(table, receipt("2")), frame(2))
        manager().write(output(table, receipt(attempt=2)), frame(3))
        assert manager().read(wanted(table, receipt())).lazy().collect()["x"].to_list() == [3]

    def test_commits_without_commit_info_shift_no_version(self, table: Path) -> None:
        """A commit without `commitInfo`, which is optional, hides no other: every run still reads its own version."""
        runs = [run for run in range(33) if run not in (5, 25, 26)]
        for run in range(33):
            if run in runs:
                manager("append").write(output(table, receipt(str(run))), frame(run))
            else:
                action = {"txn": {"appId": "another", "version": run}}
                (table / "_delta_log" / f"{run:020}.json").write_text(json.dumps(action) + "\n")
        for run in (0, 4, 6, 24, 27, 32):
            asked = wanted(table, receipt(str(run)))
            assert manager("append").read(asked).lazy().collect()["x"].to_list() == [run]
            got = manager("append").read(replace(asked, rows="table")).lazy().collect()["x"]
            assert sorted(got) == [other for other in runs if other <= run]

    def test_a_commit_of_the_tasks_own_among_them_is_read_at_its_version(self, table: Path) -> None:
        """A commit made with `io.commit_properties()`, which can't know what it comes after, is found as surely."""
        io = manager("append")
        io.write(output(table, receipt("0")), frame(0))
        with running(receipt("1")):
            frame(1).write_delta(
                str(table), mode="append", delta_write_options={"commit_properties": io.commit_properties()}
            )
        io.write(output(table, receipt("2")), frame(2))
        (table / "_delta_log" / f"{3:020}.json").write_text('{"txn": {"appId": "another", "version": 1}}\n')
        assert sorted(io.read(wanted(table, receipt("1"))).lazy().collect()["x"]) == [0, 1]

    def test_the_log_is_read_from_paths_with_odd_names(self, tmp_path: Path) -> None:
        """Quotes, dots and signs in a path hinder neither writes nor pinned reads."""
        table = tmp_path / "my.lake" / "o'clock+1=2"
        io = manager("append")
        io.write(output(table, receipt("1")), frame(1))
        io.write(output(table, receipt("2")), frame(2))
        (table / "_delta_log" / f"{2:020}.json").write_text('{"txn": {"appId": "another", "version": 1}}\n')
        assert io.read(wanted(table, receipt("1"))).lazy().collect()["x"].to_list() == [1]

    def test_a_task_gets_the_engines_own_handle(self, tmp_path: Path) -> None:
        """For what it does itself with a table, by the name that the manager knows."""
        lake = PolarsDeltaIoManager(tmp_path, mode="append")
        for by_hand in (lake.delta_table, lambda name: lake.table(name).read()):
            with pytest.raises(NotWrittenError, match="there is nothing at") as refused:
                by_hand("t")
            assert "parameter" not in str(refused.value)  # nobody has one here
        with pytest.raises(RunError, match=r"name the table: `io.table\('name'\).read\(\)`"):
            lake.read()
        lake.table("t").write(output(tmp_path / "t"), frame(1, 2))
        lake.delta_table("t").delete("x = 1")
        assert lake.table("t").delta_table().version() == 1
        assert stored(tmp_path / "t") == [2]

    def test_a_table_can_be_read_by_hand(self, tmp_path: Path) -> None:
        """`.read()` of a bound table gives its newest version in a notebook or test."""
        lake = PolarsDeltaIoManager(tmp_path)
        manager().write(output(tmp_path / "gold" / "x"), frame(7))
        assert lake.table("gold/x").read().lazy().collect()["x"].to_list() == [7]
        with pytest.raises(RunError, match="only while the task runs"):
            lake.read()


class TestSchemas:
    def test_strict_shows_every_difference_column_by_column(self, table: Path) -> None:
        """Types that differ, columns that are missing or new: all in one table, and nothing is written."""
        manager("append").write(output(table), pl.DataFrame({"a": [1], "b": ["x"], "c": [1.0]}))
        with pytest.raises(RunError) as error:
            manager("append").write(output(table, receipt("2")), pl.DataFrame({"a": ["1"], "c": [2.0], "d": [True]}))
        lines = [line.split() for line in str(error.value).splitlines()]
        assert ["a", "Int64", "String"] in lines
        assert ["b", "String", "-"] in lines
        assert ["d", "-", "Boolean"] in lines
        assert not any(line[:1] == ["c"] for line in lines)
        assert pl.read_delta(str(table)).height == 1

    @LAZY
    @pytest.mark.parametrize("mode", ["append", "overwrite"])
    def test_add_columns_lets_the_table_grow(self, table: Path, lazy: bool, mode: str) -> None:
        """A new column appears, a missing one is null, and another type is still refused."""
        io = manager(mode, schema="add-columns")
        io.write(output(table), pl.DataFrame({"a": [1], "b": [1]}))
        io.write(output(table, receipt("2")), as_given(pl.DataFrame({"a": [2], "c": [2]}), lazy))
        got = pl.read_delta(str(table)).filter(pl.col("a") == 2).select("a", "b", "c").rows()
        assert got == [(2, None, 2)]
        with pytest.raises(RunError, match="Int64"):
            io.write(output(table, receipt("3")), pl.DataFrame({"a": ["x"], "b": [1], "c": [1]}))

    def test_replace_gives_the_table_a_new_schema(self, table: Path) -> None:
        """`schema="replace"` overwrites columns and types with the rows."""
        manager().write(output(table), pl.DataFrame({"a": [1]}))
        manager(schema="replace").write(output(table, receipt("2")), pl.DataFrame({"b": ["x"]}))
        assert pl.read_delta(str(table)).to_dict(as_series=False) == {"b": ["x"]}

    def test_types_that_delta_lacks_are_compared_as_they_are_stored(self, table: Path) -> None:
        """Unsigned integers, categories, enums, arrays and other time units may be appended to their own table."""
        data = pl.DataFrame(
            {
                "u8": pl.Series([1], dtype=pl.UInt8),
                "u64": pl.Series([1], dtype=pl.UInt64),
                "cat": pl.Series(["a"], dtype=pl.Categorical),
                "enum": pl.Series(["a"], dtype=pl.Enum(["a", "b"])),
                "ms": pl.Series([dt.datetime(2024, 1, 1)], dtype=pl.Datetime("ms")),
                "zone": pl.Series([dt.datetime(2024, 1, 1)], dtype=pl.Datetime("ns", "Europe/Berlin")),
                "array": pl.Series([[1, 2]], dtype=pl.Array(pl.Int16, 2)),
                "struct": pl.Series([{"a": 1}], dtype=pl.Struct({"a": pl.UInt16})),
            }
        )
        for run in ("1", "2"):
            manager("append").write(output(table, receipt(run)), data)
        assert pl.read_delta(str(table)).height == 2

    def test_types_without_a_form_in_delta_are_named(self, table: Path) -> None:
        """Null, Time and Duration columns are refused with their names before anything is written."""
        data = pl.DataFrame({"n": [None], "t": [dt.time(1)], "d": [dt.timedelta(1)], "fine": [1]})
        with pytest.raises(RunError, match=r"(?s)n: Null.*t: Time.*d: Duration"):
            manager().write(output(table), data)
        assert not table.exists()


class TestMerges:
    def merge(self, table: Path, io: PolarsDeltaIoManager | None, value: int, **clauses: Any) -> Any:
        """A merge that adds 1 to what is there, and so shows if it ran twice."""
        options = {"predicate": "s.k = t.k", "source_alias": "s", "target_alias": "t", **clauses}
        if io is not None:
            options["commit_properties"] = io.commit_properties()
        merger = pl.DataFrame({"k": [1], "x": [value]}).write_delta(
            str(table), mode="merge", delta_merge_options=options
        )
        assert merger is not None
        return merger.when_matched_update({"x": "t.x + s.x"}).when_not_matched_insert_all()

    @pytest.fixture
    def target(self, table: Path) -> Path:
        pl.DataFrame({"k": [1], "x": [10]}).write_delta(str(table))
        return table

    @pytest.mark.parametrize("mode", ["error", "overwrite", "append", "ignore"])
    def test_a_returned_merge_is_executed_whatever_the_mode(self, target: Path, mode: str) -> None:
        """Preflight lets a merge pass, and writing executes it."""
        io = manager(mode)
        context = output(target, returns=("deltalake.TableMerger",))
        io.preflight(context)
        with running(context.receipt):
            result = io.write(context, self.merge(target, io, 1))
        assert stored(target) == [11]
        assert result.rows == 1
        assert io.read(wanted(target, context.receipt)).lazy().collect()["x"].to_list() == [11]

    def test_with_commit_properties_a_retry_does_not_merge_again(
        self, target: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A merge made with `io.commit_properties()` is exactly once."""
        io = manager()
        for attempt in (1, 2):
            context = output(target, receipt(attempt=attempt))
            with running(context.receipt), caplog.at_level(logging.INFO, "dbxdec"):
                result = io.write(context, self.merge(target, io, 1))
        assert stored(target) == [11]
        assert result.note == "already written by attempt 1"

    def test_without_commit_properties_it_says_at_least_once(self, target: Path) -> None:
        """A merge without the receipt is executed, gets its receipt behind it, and says what it can't promise."""
        io = manager()
        result = io.write(output(target), self.merge(target, None, 1))
        assert "at least once" in result.note
        assert "commit_properties" in result.note
        assert io.read(wanted(target, receipt())).lazy().collect()["x"].to_list() == [11]
        assert "already" in io.write(output(target, receipt(attempt=2)), self.merge(target, None, 1)).note
        assert stored(target) == [11]

    def test_a_merge_that_changes_nothing_leaves_a_receipt(self, target: Path) -> None:
        """A reader behind a merge without effect gets the table as it is."""
        io = manager()
        options = {"predicate": "s.k = t.k", "source_alias": "s", "target_alias": "t"}
        merger = pl.DataFrame({"k": [1], "x": [5]}).write_delta(str(target), mode="merge", delta_merge_options=options)
        assert merger is not None
        io.write(output(target), merger.when_not_matched_insert_all())
        assert io.read(wanted(target, receipt())).lazy().collect()["x"].to_list() == [10]

    def test_an_attempt_that_merges_meanwhile_is_seen(self, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two attempts that both look before either commits merge once; the slower one learns of the other."""
        io = manager()
        mergers = []
        for attempt in (1, 2):
            with running(receipt(attempt=attempt)):
                mergers.append(self.merge(target, io, 1))
        genuine = TableMerger.execute
        late = iter([mergers[0]])

        def execute(merger: TableMerger) -> dict[str, Any]:
            if (quicker := next(late, None)) is not None:
                io.write(output(target, receipt(attempt=1)), quicker)
            return genuine(merger)

        monkeypatch.setattr(TableMerger, "execute", execute)
        result = io.write(output(target, receipt(attempt=2)), mergers[1])
        assert result.note == "already written by attempt 1"
        assert stored(target) == [11]

    def test_a_merge_that_another_writer_beats_says_so(self, target: Path) -> None:
        """A conflict with somebody else's commit is one clear error, and nothing is merged."""
        merger = self.merge(target, None, 1)
        pl.DataFrame({"k": [1], "x": [20]}).write_delta(str(target), mode="overwrite")
        with pytest.raises(RunError, match="another writer changed"):
            manager().write(output(target), merger)
        assert stored(target) == [20]

    def test_a_reader_behind_a_merge_does_not_see_later_writes(self, target: Path) -> None:
        """The version that the merge made is read, whoever writes behind it."""
        io = manager()
        context = output(target)
        with running(context.receipt):
            io.write(context, self.merge(target, io, 1))
        io.write(output(target, receipt("78")), pl.DataFrame({"k": [5], "x": [5]}))
        assert io.read(wanted(target, context.receipt)).lazy().collect()["x"].to_list() == [11]

    def test_a_merge_into_another_table_is_named(self, target: Path) -> None:
        """A merge whose target is not the task's own table says where the rows went, however alike the names are."""
        unread = replace(output(target.with_name("tab")), has_readers=False)
        result = manager().write(unread, self.merge(target, None, 1))
        assert f"merged into {target.as_uri()}" in result.note

    def test_a_merge_into_another_table_is_refused_where_a_task_reads_the_result(self, target: Path) -> None:
        """The reader would get the task's own table, which the merge has not touched: nothing is merged."""
        before = DeltaTable(str(target)).version()
        with pytest.raises(RunError, match=r"returned a merge into .*, but the tasks that read its result read .*tab"):
            manager().write(output(target.with_name("tab")), self.merge(target, None, 1))
        assert DeltaTable(str(target)).version() == before

    def test_commit_properties_outside_a_run_are_empty(self) -> None:
        """A test or a notebook can make the same merge without a run."""
        assert current_receipt() is None
        assert manager().commit_properties().app_transactions is None


class TestPartitions:
    def test_only_the_partitions_in_the_data_are_replaced(self, table: Path) -> None:
        """(1, us) and (2, eu) leave (1, eu) alone: value tuples count, not each column's values."""
        io = manager(partition_by=["n", "region"])
        first = pl.DataFrame({"n": [1, 1, 2], "region": ["us", "eu", "eu"], "x": [1, 2, 3]})
        io.write(output(table, receipt("1")), first)
        io.write(output(table, receipt("2")), pl.DataFrame({"n": [1, 2], "region": ["us", "eu"], "x": [10, 30]}))
        assert stored(table) == [2, 10, 30]
        assert DeltaTable(str(table)).metadata().partition_columns == ["n", "region"]

    @LAZY
    def test_an_empty_frame_replaces_nothing(self, table: Path, lazy: bool) -> None:
        """Data without rows names no partition; a reader of the run gets no rows, and the table is as it was."""
        io = manager(partition_by="x")
        rows = frame(1, 2).with_columns(y=0)
        io.write(output(table, receipt("1")), rows)
        io.write(output(table, receipt("2")), as_given(rows.clear(), lazy))
        assert stored(table) == [1, 2]
        assert_frame_equal(io.read(wanted(table, receipt("2"))), rows.clear())

    def test_a_lazyframe_runs_once(self, table: Path) -> None:
        """The query of a partitioned overwrite is not run a second time to learn its partitions."""
        io = manager(partition_by="x")
        io.write(output(table, receipt("1")), frame(1, 2).with_columns(y=0))
        seen: list[int] = []

        def look(data: pl.DataFrame) -> pl.DataFrame:
            seen.append(data.height)
            return data

        io.write(output(table, receipt("2")), frame(2, 2).with_columns(y=1).lazy().map_batches(look))
        assert sum(seen) == 2
        assert stored(table) == [1, 2, 2]

    def test_partition_columns_must_be_in_the_data_beside_others(self, table: Path) -> None:
        """A missing partition column, or a frame of nothing else, is refused before a file is written."""
        with pytest.raises(RunError, match="has no column `day`"):
            manager(partition_by="day").write(output(table), frame(1))
        with pytest.raises(RunError, match="other than those of `partition_by`"):
            manager(partition_by="x").write(output(table), frame(1))
        assert not table.exists()

    def test_an_equals_sign_above_the_table_names_no_partition(self, tmp_path: Path) -> None:
        """A table below a folder called `a&b=c` is read by its own partitions, all of it and what one run wrote."""
        io, uri = manager(partition_by="k"), tmp_path / "a&b=c" / "t"
        for run in ("1", "2"):
            io.write(output(uri, receipt(run)), pl.DataFrame({"k": ["x", run], "v": [int(run)] * 2}))
        kinds: list[tuple[Rows, list[Any]]] = [("run", []), ("table", [("1", 1)])]
        for rows, expected in kinds:
            read = io.read(replace(wanted(uri, receipt("2")), rows=rows))
            assert isinstance(read, pl.DataFrame)
            assert sorted(read.rows()) == [*expected, ("2", 2), ("x", 2)]

    @LAZY
    def test_partition_by_may_be_left_out_for_a_table_that_is_there(self, table: Path, lazy: bool) -> None:
        """Such writes keep the table's partitions; an overwrite then replaces the whole table."""
        rows = [pl.DataFrame({"p": [number], "x": [number]}) for number in range(3)]
        manager("append", partition_by="p").write(output(table, receipt("0")), rows[0])
        manager("append").write(output(table, receipt("1")), as_given(rows[1], lazy))
        assert stored(table) == [0, 1]
        manager().write(output(table, receipt("2")), as_given(rows[2], lazy))
        assert stored(table) == [2]
        assert DeltaTable(str(table)).metadata().partition_columns == ["p"]

    @LAZY
    def test_partitions_are_replaced_while_the_table_grows(self, table: Path, lazy: bool) -> None:
        """`schema="add-columns"` adds a column and leaves the other partitions' rows, with nulls in it."""
        io = manager(partition_by="p", schema="add-columns")
        io.write(output(table, receipt("1")), pl.DataFrame({"p": [1, 2], "x": [1, 1]}))
        io.write(output(table, receipt("2")), as_given(pl.DataFrame({"p": [2], "y": [5]}), lazy))
        assert sorted(pl.read_delta(str(table)).select("p", "x", "y").rows()) == [(1, 1, None), (2, None, 5)]

    def test_a_new_schema_keeps_the_partition_columns(self, table: Path) -> None:
        """`schema="replace"` without a column that the table is partitioned by is refused."""
        manager(partition_by="p").write(output(table), pl.DataFrame({"p": [1], "x": [1]}))
        with pytest.raises(RunError, match="no column `p`"):
            manager(schema="replace").write(output(table, receipt("2")), frame(2))
        assert stored(table) == [1]

    @pytest.mark.parametrize("value", [b"a", [1], {"a": 1}], ids=["Binary", "List", "Struct"])
    def test_types_that_are_no_partitions_are_named(self, table: Path, value: Any) -> None:
        """Columns that delta-rs can't write or Polars can't read back as partitions are refused with their type."""
        data = pl.DataFrame({"p": [value], "x": [1]})
        with pytest.raises(RunError, match=rf"p: {data.schema['p'].__class__.__name__}"):
            manager(partition_by="p").write(output(table), data)
        assert not table.exists()

    def test_partitions_that_are_not_the_tables_are_refused(self, table: Path) -> None:
        """`partition_by` that differs from the table's is an error before the function runs."""
        manager().write(output(table), frame(1))
        with pytest.raises(RunError, match="is not partitioned"):
            manager(partition_by="x").preflight(output(table, receipt("2")))


class TestOptions:
    def test_all_wrong_options_are_listed(self) -> None:
        """Every mistake in the constructor is in one error, with what was meant."""
        with pytest.raises(DbxdecError) as error:
            PolarsDeltaIoManager("", mode="overwite", schema="lax", delta_write_options={"mode": "append"})  # type: ignore[arg-type]
        text = str(error.value)
        assert len(error.value.problems) == 4
        assert "did you mean `overwrite`?" in text
        assert "`base_path` is empty" in text
        assert "'lax'" in text
        assert "use `mode=`" in text

    @pytest.mark.parametrize("columns", [["a", "a"], ["a", ""], ""])
    def test_partition_columns_are_named_once(self, columns: Any) -> None:
        """A name that is repeated or empty is refused when the manager is made."""
        with pytest.raises(DbxdecError, match="name each column once"):
            PolarsDeltaIoManager("x", partition_by=columns)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"storage_options": {"allow_http": True}}, "`storage_options` has a bool for 'allow_http'"),
            ({"storage_options": [("a", "b")]}, "`storage_options` is a list"),
            ({"delta_write_options": 5}, "`delta_write_options` is a int"),
            ({"partition_by": 5}, "`partition_by` is 5"),
            ({"partition_by": [1]}, "`partition_by` is [1]"),
            ({"base_path": None}, "`base_path` is None"),
            ({"base_path": b"x"}, "`base_path` is b'x'"),
            ({"base_path": "gs://"}, "`base_path` is 'gs://', which names no bucket"),
        ],
        ids=str,
    )
    def test_options_of_wrong_types_are_refused_where_they_stand(self, options: dict[str, Any], said: str) -> None:
        """Not by an error of another library in the run; what may be a secret is not shown."""
        with pytest.raises(DbxdecError) as refused:
            PolarsDeltaIoManager(**{"base_path": "x", **options})
        assert said in str(refused.value)

    def test_replace_demands_a_whole_overwrite(self) -> None:
        """`schema="replace"` with an append or with partitions is refused."""
        for options in ({"mode": "append"}, {"mode": "overwrite", "partition_by": "day"}):
            with pytest.raises(DbxdecError, match="replaces only a part"):
                PolarsDeltaIoManager("x", schema="replace", **options)  # type: ignore[arg-type]

    def test_secrets_are_in_no_text(self) -> None:
        """Storage options are in neither repr nor settings."""
        io = PolarsDeltaIoManager("x", storage_options={"key": "hunter2"})
        assert "hunter2" not in f"{io!r} {io.settings()} {io.table('y')!r}"

    def test_the_authors_options_are_left_alone(self, table: Path) -> None:
        """Dicts that the author gave are the same after writes."""
        write_options = {"description": "mine"}
        storage_options = {"anything": "at all"}
        io = manager(storage_options=storage_options, delta_write_options=write_options)
        io.write(output(table), frame(1))
        io.write(output(table, receipt("2")), frame(2))
        assert (write_options, storage_options) == ({"description": "mine"}, {"anything": "at all"})
        assert DeltaTable(str(table)).metadata().description == "mine"

    def test_a_table_is_a_copy_with_its_own_options(self) -> None:
        """`table(...)` changes a copy, refuses unknown options, and checks the known ones."""
        io = PolarsDeltaIoManager("base", mode="append")
        bound = io.table("gold/x", mode="overwrite", partition_by="day")
        assert (io.mode, io.partition_by, io.is_table) == ("append", None, False)
        assert bound.settings() == {"mode": "overwrite", "schema": "strict", "partition_by": ["day"]}
        with pytest.raises(DbxdecError, match="did you mean `partition_by`"):
            io.table("x", partitionby="day")
        with pytest.raises(DbxdecError, match="'upsert'"):
            io.table("x", mode="upsert")

    def test_uris_follow_base_path_job_task_and_variables(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`uri()` fills in job, task and bundle variables; `_uri` is the same."""
        io = PolarsDeltaIoManager(bundle_variable("root") / "{job}")
        with running(receipt(task="orders")), variables.using({"root": "/lake"}):
            assert io.uri() == f"/lake/{receipt().id.job}/orders"
            assert io.uri("upsert") == io._uri("upsert") == f"/lake/{receipt().id.job}/upsert"
        with pytest.raises(RunError, match="outside a task"):
            io.uri("upsert")
        monkeypatch.setenv("DBXDEC_VAR_root", "/env")
        assert PolarsDeltaIoManager(bundle_variable("root")).uri("x") == "/env/x"
