"""The keys that a table has, told by its log: through checkpoints, clean-ups, restores and other writers."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, Field, Schema, convert_to_deltalake, write_deltalake
from deltalake.schema import PrimitiveType

from dbxdec import DeltaMerge
from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager, SparkDeltaIoManager
from dbxdec.io_managers.contexts import NO_ITEMS, WriteId
from dbxdec.io_managers.delta import epochs, key_log
from dbxdec.io_managers.delta.key_log import KeyLog, KeyWrite
from dbxdec.io_managers.delta.polars import notes
from dbxdec.io_managers.delta.receipts import Commit
from delta_tools import frame, output, receipt
from object_storage import object_storage

POLARS = int(pl.__version__.partition(".")[0])
RETURNS = ("polars.DataFrame", "dbxdec.DeltaMerge", "types.NoneType")


class Table:
    """A table with keys at a path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(
        self, key: str, value: Any, *, mode: Any = "append", run: str = "", attempt: int = 1, **options: Any
    ) -> None:
        """Store the result of the run for a key."""
        identity: dict[str, Any] = {name: options.pop(name) for name in ("item", "items", "slot") if name in options}
        given = receipt(run or f"run-{key}", attempt=attempt)
        given = replace(given, id=replace(given.id, key=key, **identity))
        manager = PolarsDeltaIoManager(self.path.parent, mode=mode, **options)
        manager.write(output(self.path, given, RETURNS), value)

    def done(self, slot: str = "") -> set[str]:
        """The keys that are there."""
        log = self.log()
        return set() if log is None else key_log.done(log.standing(), slot)[0]

    def untold(self, slot: str = "") -> set[str]:
        """The keys of which it can't be told."""
        log = self.log()
        return set() if log is None else log.told().untold(slot)

    def log(self) -> KeyLog | None:
        return PolarsDeltaIoManager(self.path.parent).key_log(str(self.path))

    @property
    def delta(self) -> DeltaTable:
        return DeltaTable(str(self.path))


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path / "table")


def days(*values: int) -> list[str]:
    return [f"day=2024-01-{value:02}" for value in values]


def test_each_write_says_its_key_in_the_commit_of_its_rows(table: Table) -> None:
    """Without a table there is no key; a run without a key adds none."""
    assert table.done() == set()
    one, other = days(1, 2)
    table.write(one, frame(1))
    table.write(other, frame(2))
    table.write("", frame(3))
    assert table.done() == {one, other}
    assert table.delta.version() == 2


EMPTY = {
    "an empty frame": (frame(), {}),
    "an overwrite of nothing": (frame(), {"mode": "overwrite"}),
    "a merge of nothing": (DeltaMerge(frame(), on="x"), {}),
    "a merge that changes nothing": (DeltaMerge(frame(1), on="x").when_not_matched_insert_all(), {}),
    "None": (None, {}),
}


@pytest.mark.parametrize(("value", "options"), EMPTY.values(), ids=EMPTY)
def test_an_empty_result_counts(table: Table, value: Any, options: dict[str, Any]) -> None:
    """A day without data is no missing day."""
    one, other = days(1, 2)
    table.write(one, frame(1))
    table.write(other, value, **options)
    assert table.done() == {one, other}


def test_what_mode_ignore_keeps_is_no_key(table: Table) -> None:
    """The rows that are there are those of another day."""
    one, other = days(1, 2)
    table.write(one, frame(1), mode="ignore")
    table.write(other, frame(2), mode="ignore")
    assert table.done() == {one}


def test_partitions_and_whole_tables_are_overwritten_key_by_key(table: Table) -> None:
    """A repair of an older run of a key that is done writes again, and stays one key."""
    one, other = days(1, 2)
    parts: dict[str, Any] = {"mode": "overwrite", "partition_by": ["day"]}
    table.write(one, pl.DataFrame({"day": ["1"], "x": [1]}), **parts)
    table.write(other, pl.DataFrame({"day": ["2"], "x": [2]}), **parts)
    table.write(one, pl.DataFrame({"day": ["1"], "x": [3]}), run="later", **parts)
    assert table.done() == {one, other}
    assert pl.read_delta(str(table.path)).sort("day").rows() == [("1", 3), ("2", 2)]


def test_iterations_are_done_when_all_of_one_run_are(table: Table) -> None:
    """Eight items of one key of which one was killed are no whole day, whatever another run has written."""
    one = days(1)[0]
    for item in range(7):
        table.write(one, frame(item), run="first", item=f"i{item}", items=8)
    table.write(one, frame(7), run="second", item="i7", items=8)
    assert table.done() == set()
    table.write(one, frame(8), run="first", item="i7", items=8)
    assert table.done() == {one}


def test_an_item_without_rows_before_there_was_a_table_can_not_be_told(table: Table) -> None:
    """It left nothing: only of the run that made the table it may be so, and a later whole run settles it."""
    first, second = days(1, 2)
    table.write(first, None, run="first", item="a", items=2)
    table.write(first, frame(1), run="first", item="b", items=2)
    table.write(second, frame(2), run="second", item="b", items=2)
    assert unproven(table) == {first}
    table.write(second, None, run="second", item="a", items=2)
    assert table.done() == {second}
    for item in ("a", "b"):
        table.write(first, None, run="third", item=item, items=2)
    assert unproven(table) == set()
    assert table.done() == {first, second}


def test_an_item_that_is_missing_long_after_a_table_was_made_is_a_part(table: Table) -> None:
    """Nobody has returned None before there was a table that is older than the run."""
    one = days(1)[0]
    write_deltalake(str(table.path), frame(1).head(0))
    table.write(one, frame(1), run="first", item="b", items=2)
    log = table.log()
    assert log is not None
    assert log.created is not None
    assert replace(log, created=log.created - 48 * 3_600_000).told().unproven("") == set()


def unproven(table: Table) -> set[str]:
    log = table.log()
    return set() if log is None else log.told().unproven("")


def test_a_table_that_is_made_and_not_filled_has_no_key(table: Table) -> None:
    """The first day of a table with rules may fail between the two commits."""
    rules: dict[str, Any] = {"constraints": {"positive": "x > 0"}}
    with pytest.raises(RunError, match="violate"):
        table.write(days(1)[0], frame(-1), **rules)
    assert table.path.exists()
    assert table.done() == set()
    table.write(days(2)[0], frame(1), **rules)
    assert table.done() == set(days(2))


def test_a_resumed_run_may_have_more_items(table: Table) -> None:
    """The day is whole when all that it has at last are there."""
    one = days(1)[0]
    for item in ("a", "b"):
        table.write(one, frame(1), run="first", item=item, items=2)
    table.write(one, frame(1), run="first", item="c", items=4)
    table.write(days(2)[0], frame(2))
    assert table.done() == set(days(2))
    table.write(one, frame(1), run="first", item="d", items=4)
    assert table.done() == set(days(1, 2))


def test_an_iteration_of_a_resumed_run_with_other_items_is_not_stored_twice(table: Table) -> None:
    """The identifier has another number of items, but the receipt is that of the write."""
    one = days(1)[0]
    table.write(one, frame(1), run="first", item="a", items=2)
    table.write(one, frame(1), run="first", item="a", items=3, attempt=2)
    assert pl.read_delta(str(table.path))["x"].to_list() == [1]


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_merge_of_delta_rs_that_adds_columns_takes_no_key_away(table: Table, checkpoint: bool) -> None:
    """It gives the table another time of creation, which is no replacement."""
    one, other = days(1, 2)
    table.write(one, frame(1))
    for file in table.path.glob("_delta_log/*.json"):  # an hour ago, as the clocks of writers differ
        text = re.sub(r'("(?:lastUpdated|createdTime|timestamp)":)(\d{13})', _an_hour_less, file.read_text())
        file.write_text(text)
    merge = table.delta.merge(
        pl.DataFrame({"x": [1], "y": [2]}),
        "s.x = t.x",
        source_alias="s",
        target_alias="t",
        merge_schema=True,
    )
    merge.when_matched_update_all().execute()
    if checkpoint:
        cleaned(table)
    table.write(other, pl.DataFrame({"x": [3], "y": [4]}))
    assert table.done() == {one, other}


def _an_hour_less(found: re.Match[str]) -> str:
    return f"{found[1]}{int(found[2]) - 3_600_000}"


def test_rows_of_before_the_first_key_stay_strange(table: Table) -> None:
    """Until a person says which keys there are: a scheduled run says nothing of the rows that were there."""
    write_deltalake(str(table.path), frame(1))
    assert strange(table)
    table.write(days(2)[0], frame(2))
    assert strange(table)
    table.write(days(3)[0], frame(3))
    name = key_log.marked("", days(1)[0], job="job", task="task", output="", moment=time.time_ns() // 1_000_000)
    PolarsDeltaIoManager("unused").note_keys(str(table.path), [name])
    assert not strange(table)
    assert table.done() == set(days(1, 2, 3))


def test_a_table_that_was_not_shared_before_is_strange_for_its_writers(table: Table) -> None:
    """Its keys are of a slot without a name; a new writer beside others finds nothing of its own."""
    table.write(days(1)[0], frame(1))
    assert not strange(table)
    assert strange(table, "job/a/result")
    table.write(days(1)[0], frame(1), slot="job/a/result", shared=True)
    assert not strange(table, "job/a/result")


def strange(table: Table, slot: str = "", writers: Collection[str] = ()) -> bool:
    log = PolarsDeltaIoManager("unused").key_log(str(table.path))
    assert log is not None
    return log.is_strange(slot, writers=writers)


@pytest.mark.parametrize("noted", [False, True])
def test_rows_that_another_program_has_put_in_place_of_all_are_strange(table: Table, noted: bool) -> None:
    """A backfill would append the days that they are; a person who says which ones they are has looked."""
    one, two, three = days(1, 2, 3)
    table.write(one, frame(1))
    write_deltalake(str(table.path), frame(1, 2, 3), mode="overwrite")
    if noted:
        table.write(two, frame(4))
        table.write(three, frame(4))
        forget_commits(table)
    assert strange(table)
    moment = time.time_ns() // 1_000_000
    said = key_log.marked("", one, job="job", task="task", output="", moment=moment)
    PolarsDeltaIoManager("unused").note_keys(str(table.path), [said])
    assert not strange(table)


@pytest.mark.parametrize("noted", [False, True])
def test_a_table_that_another_program_has_emptied_is_not_strange(table: Table, noted: bool) -> None:
    """Neither is one whose strange rows went with a later replacement."""
    one, two, three = days(1, 2, 3)
    table.write(one, frame(1))
    write_deltalake(str(table.path), frame(1, 2, 3), mode="overwrite")
    if noted:
        table.write(two, frame(4))
    write_deltalake(str(table.path), frame(), mode="overwrite")
    if noted:
        table.write(two, frame(4))
        table.write(three, frame(4))
        forget_commits(table)
    assert not strange(table)


@pytest.mark.parametrize("noted", [False, True])
def test_a_restore_takes_strange_rows_away(table: Table, noted: bool) -> None:
    one, two, three = days(1, 2, 3)
    table.write(one, frame(1))
    write_deltalake(str(table.path), frame(1, 2, 3), mode="overwrite")
    if noted:
        table.write(two, frame(4))
    table.delta.restore(0)
    if noted:
        for key in (two, three):
            table.write(key, frame(4), run=f"later {key}")
        forget_commits(table)
    assert not strange(table)


def others_rows(table: Table) -> None:
    """Rows of another program."""
    write_deltalake(str(table.path), frame(1, 2, 3))
    write_deltalake(str(table.path), frame(4), mode="append")


def test_rows_of_an_older_log_are_strange_after_the_first_write_with_a_key(table: Table) -> None:
    """As of a table of two years, whose log no longer has its beginning."""
    one, two, three = days(1, 2, 3)
    others_rows(table)
    forget_commits(table)
    assert strange(table)
    for key in (one, two, three):
        table.write(key, frame(9))
        assert strange(table)
    forget_commits(table)
    assert strange(table)


def test_the_iterations_of_a_first_run_are_one_first_write(table: Table) -> None:
    others_rows(table)
    forget_commits(table)
    for item in ("a", "b"):
        table.write(days(1)[0], frame(9), run="first", item=item, items=2)
    assert strange(table)


def test_a_table_that_only_writes_with_keys_have_made_is_not_strange(table: Table) -> None:
    """However little its log has left."""
    for key in days(1, 2, 3, 4):
        table.write(key, frame(9))
        assert not strange(table)
        if key != days(1)[0]:
            forget_commits(table)
            assert not strange(table)


def test_rows_of_a_run_without_a_key_are_strange(table: Table) -> None:
    """Its write makes the table and stores the rows in one commit; a run that had none is no matter."""
    table.write("", frame(), run="before")
    assert not strange(table)
    table.write("", frame(1), run="later")
    assert strange(table)


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_a_table_that_a_run_without_a_key_has_made_is_strange(table: Table, mode: str) -> None:
    table.write("", frame(1), run="before", mode=mode)
    assert strange(table)
    table.write(days(1)[0], frame(1))
    assert strange(table)


def test_files_that_were_made_a_table_are_strange_rows(table: Table) -> None:
    table.path.mkdir()
    frame(1, 2).write_parquet(table.path / "part.parquet")
    convert_to_deltalake(str(table.path))
    assert strange(table)
    table.write(days(1)[0], frame(9))
    assert strange(table)


def test_a_note_that_was_not_made_is_made_by_the_next_write(table: Table) -> None:
    """The first one may be killed before it."""
    one, two = days(1, 2)
    others_rows(table)
    table.write(one, frame(9))
    newest = max(table.path.glob("_delta_log/*.json"))
    assert "dbxdec/rows" in newest.read_text()
    newest.unlink()
    table.write(two, frame(9))
    forget_commits(table)
    assert strange(table)


def test_a_restore_to_strange_rows_brings_them_back(table: Table) -> None:
    others_rows(table)
    table.write(days(1)[0], frame(9))
    table.delta.restore(0)
    assert strange(table)
    for key in days(2, 3, 4):
        table.write(key, frame(9))
    forget_commits(table)
    assert strange(table)


def test_a_table_without_rows_that_another_program_has_made_is_not_strange(table: Table) -> None:
    """As by DDL; neither is one that it has emptied as a whole."""
    DeltaTable.create(str(table.path), Schema([Field("x", PrimitiveType("long"))]))
    assert not strange(table)
    table.write(days(1)[0], frame(9))
    assert not strange(table)


def test_strange_rows_are_so_for_each_writer_of_a_shared_table(table: Table) -> None:
    """Also for one that comes after another."""
    others_rows(table)
    table.write(days(1)[0], frame(1), slot="job/left/result", shared=True)
    writers = ["job/left/result", "job/right/result"]
    assert strange(table, "job/left/result", writers)
    assert strange(table, "job/right/result", writers)


def forget_commits(table: Table) -> None:
    """Leave a checkpoint and no commit, as the clean-up of a log does in time."""
    table.delta.create_checkpoint()
    for file in sorted(table.path.glob("_delta_log/*.json"))[:-1]:
        file.unlink()


def test_a_shared_table_without_a_writer_that_it_had_is_strange_for_a_new_one(table: Table) -> None:
    """The task may have another name now, and would append its days again."""
    table.write(days(1)[0], frame(1), slot="job/left/result", shared=True)
    table.write(days(1)[0], frame(1), slot="job/right/result", shared=True)
    table.write(days(1)[0], frame(1), slot="elsewhere/other/result", shared=True)
    assert strange(table, "job/left_side/result", ["job/left_side/result", "job/right/result"])
    assert not strange(table, "job/third/result", ["job/left/result", "job/third/result", "job/right/result"])


def test_a_shared_table_has_the_keys_of_each_writer(table: Table) -> None:
    """Each task has a slot of its own."""
    one, other = days(1, 2)
    table.write(one, frame(1), slot="job/a/result", shared=True)
    table.write(other, frame(2), slot="job/b/result", shared=True)
    assert (table.done("job/a/result"), table.done("job/b/result"), table.done()) == ({one}, {other}, set())


def test_keys_outlive_checkpoints_clean_ups_vacuum_and_compaction(table: Table) -> None:
    """Of the first commits nothing is left but the checkpoint."""
    found = days(*range(1, 6))
    for n, key in enumerate(found):
        table.write(key, frame(n))
    table.delta.optimize.compact()
    table.delta.create_checkpoint()
    for file in sorted(table.path.glob("_delta_log/*.json"))[:-1]:
        file.unlink()
    table.delta.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    more = days(9)[0]
    table.write(more, frame(9))
    assert table.done() == {*found, more}
    (table.path / "_delta_log/_last_checkpoint").unlink()
    assert table.done() == {*found, more}


def test_keys_are_known_however_a_log_is_written(table: Table) -> None:
    """Another writer puts spaces into a line, and makes checkpoints of JSON (Delta protocol, "V2 spec")."""
    found = days(1, 2)
    for n, key in enumerate(found):
        table.write(key, frame(n))
    log = table.path / "_delta_log"
    files = sorted(log.glob("*.json"))
    text = "\n".join(f"{{ {line[1:]}" for file in files for line in file.read_text(encoding="utf-8").splitlines())
    name = f"{int(files[-1].stem):020}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"
    (log / name).write_text(text, encoding="utf-8")
    for file in files[:-1]:
        file.unlink()
    assert table.done() == set(found)


def test_rows_that_others_add_change_or_delete_take_no_key_away(table: Table) -> None:
    """Schema changes, deletes of a customer, appends of another program."""
    key = days(1)[0]
    table.write(key, frame(1, 2))
    write_deltalake(str(table.path), pl.DataFrame({"x": [5], "y": ["new"]}), mode="append", schema_mode="merge")
    table.delta.delete("x = 2")
    table.delta.update(predicate="x = 5", updates={"x": "6"})
    assert table.done() == {key}


def test_a_replacement_by_another_program_takes_all_keys_away(table: Table) -> None:
    """Its rows are no day's; keys that are written afterwards count."""
    one, other = days(1, 2)
    table.write(one, frame(1))
    write_deltalake(str(table.path), frame(7), mode="overwrite")
    assert table.done() == set()
    table.write(other, frame(2))
    assert table.done() == {other}


def test_a_replaced_slice_of_another_program_takes_no_key_away(table: Table) -> None:
    """It may have corrected a day."""
    key = days(1)[0]
    table.write(key, frame(1, 2))
    write_deltalake(str(table.path), frame(2), mode="overwrite", predicate="x = 2")
    assert table.done() == {key}


def test_a_table_that_is_made_again_has_no_key(table: Table) -> None:
    """Delta keeps identifiers through `CREATE OR REPLACE`."""
    table.write(days(1)[0], frame(1))
    DeltaTable.create(str(table.path), Schema([Field("x", PrimitiveType("long"))]), mode="overwrite")
    assert table.done() == set()


def test_a_clone_takes_all_keys_away() -> None:
    """Its rows are those of another table."""
    assert epochs.replaces_all(Commit(3, 3, "CLONE", {"source": "delta.`lake/backup`"}))


def test_a_run_without_a_key_that_replaces_the_table_takes_all_keys_away(table: Table) -> None:
    """As any other program that does it."""
    table.write(days(1)[0], frame(1))
    table.write("", frame(2), mode="overwrite", run="other")
    assert table.done() == set()


def test_a_restore_takes_away_what_came_after_the_version(table: Table) -> None:
    """The keys of that version stay, and what is written afterwards counts."""
    one, two, three, four = days(1, 2, 3, 4)
    table.write(one, frame(1))
    table.write(two, frame(2))
    table.write(three, frame(3))
    table.delta.restore(0)
    assert table.done() == {one}
    table.write(four, frame(4))
    assert table.done() == {one, four}


def test_a_restore_to_a_moment_and_below_a_replacement_brings_keys_back(table: Table) -> None:
    """What the replacement took away is there again; a moment is the version that was the newest then."""
    one, two, three = days(1, 2, 3)
    table.write(one, frame(1))
    table.write(two, frame(2))
    moment = between_commits()
    write_deltalake(str(table.path), frame(7), mode="overwrite")
    table.write(three, frame(3))
    assert table.done() == {three}
    table.delta.restore(moment)
    assert table.done() == {one, two}


def cleaned(table: Table) -> None:
    """The log is cleaned up: nothing is left of it but the newest checkpoint and commit."""
    table.delta.create_checkpoint()
    for file in sorted(table.path.glob("_delta_log/*.json"))[:-1]:
        file.unlink()


def test_a_replacement_is_noted_for_longer_than_the_log_has_it(table: Table) -> None:
    """The next write with a key notes it in an identifier; identifiers survive the clean-up."""
    one, two, three = days(1, 2, 3)
    table.write(one, frame(1))
    write_deltalake(str(table.path), frame(7), mode="overwrite")
    table.write(two, frame(2))
    cleaned(table)
    table.write(three, frame(3))
    cleaned(table)
    assert table.done() == {two, three}


def test_a_replacement_before_an_empty_merge_is_noted(table: Table) -> None:
    """It makes no version of its own."""
    one, two, three = days(1, 2, 3)
    table.write(one, frame(1))
    write_deltalake(str(table.path), frame(7), mode="overwrite")
    table.write(two, DeltaMerge(frame(), on="x"))
    table.write(three, frame(3))
    cleaned(table)
    assert table.done() == {two, three}


def between_commits() -> dt.datetime:
    """A moment that the times of the files before and after it are apart from: file systems count in 4 ms."""
    time.sleep(0.05)
    moment = dt.datetime.now(dt.UTC)
    time.sleep(0.05)
    return moment


@pytest.mark.parametrize("by_time", [False, True])
def test_a_restore_is_noted_with_what_it_went_back_to(table: Table, by_time: bool) -> None:
    """The keys of that version stay."""
    one, two, three, four = days(1, 2, 3, 4)
    table.write(one, frame(1))
    table.write(two, frame(2))
    moment = between_commits()
    table.write(three, frame(3))
    table.delta.restore(moment if by_time else 1)
    table.write(four, frame(4))
    cleaned(table)
    assert table.done() == {one, two, four}


def test_a_restore_to_before_a_noted_replacement_brings_keys_back(table: Table) -> None:
    """The replacement of before the one that it undid still counts."""
    one, two, three, four, five = days(1, 2, 3, 4, 5)
    table.write(one, frame(1))
    write_deltalake(str(table.path), frame(7), mode="overwrite")
    table.write(two, frame(2))
    kept = table.delta.version()
    write_deltalake(str(table.path), frame(8), mode="overwrite")
    table.write(three, frame(3))
    table.write(four, frame(4))
    assert table.done() == {three, four}
    table.delta.restore(kept)
    assert table.done() == {two}
    table.write(five, frame(5))
    assert table.done() == {two, five}
    cleaned(table)
    assert table.done() == {two, five}


def test_what_a_write_could_not_note_the_next_one_notes(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are there when it is noted, so a storage that refuses then fails no run."""
    one, two, three = days(1, 2, 3)
    table.write(one, frame(1))
    write_deltalake(str(table.path), frame(7), mode="overwrite")
    with monkeypatch.context() as patched:
        patched.setattr(notes, "note", lambda *_, **__: 1 / 0)
        table.write(two, frame(2))
    table.write(three, frame(3))
    cleaned(table)
    assert table.done() == {two, three}


def test_an_ordinary_write_notes_nothing(table: Table) -> None:
    """One commit for each key, also among those of others."""
    for n, key in enumerate(days(1, 2, 3)):
        table.write(key, frame(n))
        write_deltalake(str(table.path), frame(7), mode="append")
    assert table.delta.version() == 5


def test_only_the_commits_behind_the_checkpoint_are_read(table: Table) -> None:
    """Those before it are as good as gone."""
    found = days(*range(1, 9))
    for n, key in enumerate(found):
        table.write(key, frame(n))
    table.delta.create_checkpoint()
    (table.path / "_delta_log/00000000000000000003.json").write_text("no JSON")
    assert table.done() == set(found)


def restored_to_what_is_gone(table: Table) -> None:
    """Three days, and a RESTORE to a version that the log has no more."""
    for n, key in enumerate(days(1, 2, 3)):
        table.write(key, frame(n))
    table.delta.restore(1)
    cleaned(table)


def test_a_restore_to_before_what_the_log_has_can_not_be_told_of_the_keys_before(table: Table) -> None:
    """Which identifiers of a checkpoint came after the version nobody knows; other days were never there."""
    restored_to_what_is_gone(table)
    assert table.done() == set()
    assert table.untold() == set(days(1, 2, 3))
    log = table.log()
    assert log is not None
    assert "version 1, to which it was restored, is older than its log" in log.told().why


def test_what_is_written_or_said_after_such_a_restore_is_told(table: Table) -> None:
    """A day that is written again, one that is marked, and one that is taken back."""
    restored_to_what_is_gone(table)
    one, two, three, four = days(1, 2, 3, 4)
    manager = PolarsDeltaIoManager(table.path.parent)
    table.write(one, frame(1), run="again")
    assert (table.done(), table.untold()) == ({one}, {two, three})
    moment = time.time_ns() // 1_000_000
    manager.note_keys(str(table.path), [key_log.marked("", two, job="j", task="t", output="", moment=moment)])
    assert (table.done(), table.untold()) == ({one, two}, {three})
    manager.note_keys(str(table.path), [key_log.forgotten("", three)])
    assert (table.done(), table.untold()) == ({one, two}, set())
    table.write(four, frame(4))
    cleaned(table)
    assert (table.done(), table.untold()) == ({one, two, four}, set())


def test_a_restore_to_what_is_gone_stays_untold_when_it_is_only_noted(table: Table) -> None:
    """The note has no version; the days of before stay untold, and those of later are there."""
    restored_to_what_is_gone(table)
    table.write(days(4)[0], frame(4))
    cleaned(table)
    assert (table.done(), table.untold()) == (set(days(4)), set(days(1, 2, 3)))


def test_a_replacement_after_such_a_restore_tells_of_all_keys(table: Table) -> None:
    """Nothing of before is left."""
    restored_to_what_is_gone(table)
    write_deltalake(str(table.path), frame(7), mode="overwrite")
    assert (table.done(), table.untold()) == (set(), set())


def test_a_part_after_such_a_restore_is_untold(table: Table) -> None:
    """The other items may be there, of before."""
    one = days(1)[0]
    for item in ("a", "b"):
        table.write(one, frame(1), item=item, items=2)
    table.delta.restore(0)
    cleaned(table)
    table.write(one, frame(1), run="again", item="a", items=2)
    assert (table.done(), table.untold()) == (set(), {one})
    table.write(one, frame(1), run="again", item="b", items=2)
    assert (table.done(), table.untold()) == ({one}, set())


def test_a_log_that_can_not_be_read_is_an_error_and_no_answer(table: Table) -> None:
    """A log whose beginning is gone without a checkpoint does not say what there was."""
    for n, key in enumerate(days(1, 2, 3)):
        table.write(key, frame(n))
    table.delta.create_checkpoint()
    (table.path / "_delta_log/00000000000000000000.json").unlink()
    for file in table.path.glob("_delta_log/*checkpoint*"):
        file.unlink()
    with pytest.raises(RunError):
        table.done()


def test_a_checkpoint_of_several_files_is_read_whole_or_not_at_all(table: Table) -> None:
    """Spark may make such (Delta protocol, "Multi-part Checkpoint"). Without one of its files an older one counts."""
    for n, key in enumerate(days(1, 2)):
        table.write(key, frame(n))
    table.delta.create_checkpoint()
    for n, key in enumerate(days(3, 4), 2):
        table.write(key, frame(n))
    table.delta.create_checkpoint()
    log = table.path / "_delta_log"
    whole = log / f"{3:020}.checkpoint.parquet"
    rows = pl.read_parquet(whole)
    parts = [log / f"{3:020}.checkpoint.{part:010}.{3:010}.parquet" for part in (1, 2, 3)]
    for part, path in enumerate(parts):
        rows.gather_every(3, part).write_parquet(path)
    whole.unlink()
    day = days(5)
    table.write(day[0], frame(5))
    kept = {path: path.read_bytes() for path in sorted(log.glob("*.json"))[:-1]}
    for path in kept:
        path.unlink()
    assert table.done() == {*days(1, 2, 3, 4), *day}
    parts[1].unlink()
    with pytest.raises(RunError, match="its newest checkpoint can't be found"):
        table.done()
    for path, held in kept.items():
        path.write_bytes(held)
    assert table.done() == {*days(1, 2, 3, 4), *day}


def test_a_damaged_checkpoint_is_an_error_and_no_answer(table: Table) -> None:
    """What it has cut off may have had keys."""
    table.write("day=2024-01-01", frame(1))
    table.delta.create_checkpoint()
    (checkpoint,) = table.path.glob("_delta_log/*.checkpoint.parquet")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(RunError, match=f"the log of {re.escape(str(table.path))} can't be read"):
        table.done()


def test_a_hole_in_the_log_is_an_error_and_no_answer(table: Table) -> None:
    """A commit that is gone may have had a key."""
    for n, key in enumerate(days(1, 2, 3)):
        table.write(key, frame(n))
    (table.path / "_delta_log/00000000000000000001.json").unlink()
    with pytest.raises(RunError):
        table.done()


@pytest.mark.parametrize("checkpoint", [True, False])
def test_a_storage_is_asked_for_little_more_than_the_commits_behind_the_checkpoint(
    table: Table, tmp_path: Path, checkpoint: bool
) -> None:
    """It is not listed; a table that is not there is none."""
    for n, key in enumerate(days(*range(1, 9))):
        table.write(key, frame(n))
        if n == 5 and checkpoint:
            table.delta.create_checkpoint()
    with object_storage(tmp_path / "storage") as stored:
        for path in table.path.rglob("*"):
            if path.is_file():
                stored.put(f"lake/table/{path.relative_to(table.path)}", path.read_bytes())
        manager = PolarsDeltaIoManager("unused", storage_options=stored.options)
        log = manager.key_log("s3://lake/table")
        assert log is not None
        assert key_log.done(log.standing(), "")[0] == set(days(*range(1, 9)))
        asked = stored.asked()
        assert len(asked) <= (22 if POLARS >= 2 else 44)  # Polars 1 asks for the size of each file first
        assert not [one for one in asked if one.endswith("/")]
        assert manager.key_log("s3://lake/other") is None
        stored.forbid()
        with pytest.raises(RunError, match=r"403|AccessDenied|refused"):
            manager.key_log("s3://lake/table")


def test_a_table_of_spark_at_a_path_of_this_machine_is_read_without_spark(table: Table) -> None:
    """Both engines write the same identifiers."""
    key = days(1)[0]
    table.write(key, frame(1))
    log = SparkDeltaIoManager(table.path.parent).key_log(str(table.path))
    assert log is not None
    assert key_log.done(log.standing(), "")[0] == {key}
    with pytest.raises(RunError, match="can't be read here"):
        SparkDeltaIoManager("s3://bucket/x").key_log("s3://bucket/x/table")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("dbxdec/1/job/77/task/", None),
        ("other|a|b|c", None),
        ("dbxdec1||day=1|too/short", None),
        ("dbxdec1||day=1|1/job/77/task", None),
        ("dbxdec1||day=1|1/job/77/task/|x", None),
        ("dbxdec1||day=1|1/job/77/task/", KeyWrite("day=1", "", "1/job/77/task")),
        ("own/dbxdec1|s|day=1|1/job/77/task/i/out|8", KeyWrite("day=1", "s", "1/job/77/task/out", "i", 8)),
        ("dbxdec1||day=1|1/job/77/task//receipt", KeyWrite("day=1", "", "1/job/77/task")),
    ],
)
def test_other_identifiers_are_none_of_ours(name: str, write: KeyWrite | None) -> None:
    """Any program may write any identifier."""
    assert key_log.parsed(name) == write


def test_an_identifier_names_what_it_was_made_of() -> None:
    """The name that a write has is the one that is read."""
    identity = WriteId("1", "job", "77", "task", "item", "out", key="day=2024-01-01&region=eu", slot="a/b/c", items=3)
    assert key_log.parsed(identity.transaction) == KeyWrite(
        "day=2024-01-01&region=eu", "a/b/c", "1/job/77/task/out", "item", 3
    )
    assert identity == replace(identity, key="", slot="", items=0)


def test_a_table_that_spark_has_made_again_is_told_by_the_times(table: Table) -> None:
    """Identifiers of a table before this one carry an older time of their writers."""
    made = int(dt.datetime(2024, 1, 2, tzinfo=dt.UTC).timestamp() * 1000)
    name = WriteId("1", "job", "77", "task", key="day=1").transaction
    ages = {made - 3_600_000: 0, made - 60_000: 1, made + 60_000: 1}
    for updated, count in ages.items():
        log = key_log.KeyLog([key_log.Identifier(name, None, updated)], [], made, made)
        assert len(log.standing()) == count


def test_a_key_without_items_counts_until_a_later_run_has_items(table: Table) -> None:
    """And again once all of them are there; a still later run without items has nothing to wait for."""
    table.write(days(1)[0], frame(1))
    two = days(2)[0]
    table.write(two, None, run="first", item=NO_ITEMS)
    assert two in table.done()
    table.write(two, frame(1), run="second", item="a", items=2)
    assert two not in table.done()
    table.write(two, frame(2), run="second", item="b", items=2)
    assert two in table.done()
    three = days(3)[0]
    table.write(three, frame(1), run="third", item="a", items=2)
    table.write(three, None, run="fourth", item=NO_ITEMS)
    assert three in table.done()
    table.delta.create_checkpoint()
    cleaned(table)
    assert table.done() == set(days(1, 2, 3))


def test_a_repeated_attempt_with_items_is_not_done_by_the_one_without(table: Table) -> None:
    """The list was empty before: what the run has now said must all be there."""
    table.write(days(1)[0], frame(1))
    two = days(2)[0]
    table.write(two, None, run="first", item=NO_ITEMS)
    table.write(two, frame(1), run="first", item="a", items=2)
    assert two not in table.done()
    table.write(two, frame(2), run="first", item="b", items=2)
    assert two in table.done()
