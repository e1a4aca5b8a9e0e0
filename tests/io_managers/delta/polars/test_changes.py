"""What is new in a table, for a task that reads it through Polars."""

from __future__ import annotations

import datetime as dt
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from consumers import Attempt, Consumer, run
from dbxdec import DeltaMerge
from dbxdec.errors import DbxdecError, RunError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import Receipt
from dbxdec.model.changes import Changes
from object_storage import object_storage

FEED = {"configuration": {"delta.enableChangeDataFeed": "true"}}


class Tables:
    """Sources and targets below a folder, and consumers between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manager = PolarsDeltaIoManager(folder, mode="append")
        self.source, self.target = folder / "source", folder / "target"

    def add(self, *ids: int, to: str = "source", mode: Any = "append", feed: bool = False, **columns: Any) -> None:
        frame = pl.DataFrame({"id": ids, **columns}, schema_overrides={"id": pl.Int64})
        options = {**(FEED if feed else {}), **({"schema_mode": "merge"} if columns else {})}
        frame.write_delta(str(self.folder / to), mode=mode, delta_write_options=options or None)

    def consumer(self, changes: Changes | None = None, *names: str, **options: Any) -> Consumer:
        sources = {name: (self.manager, self.folder / name) for name in names or ("source",)}
        return Consumer({"result": (self.manager, self.target)}, sources, changes or Changes(), **options)

    def ids(self, path: str = "target") -> list[int]:
        return sorted(pl.read_delta(str(self.folder / path))["id"].to_list())

    def versions(self, path: str = "target") -> int:
        return DeltaTable(str(self.folder / path)).version()

    def facts(self) -> dict[str, Any]:
        """What the newest commit of the target states beside its receipt."""
        found = Receipt.from_metadata(DeltaTable(str(self.target)).history(1)[0]["userMetadata"])
        assert found is not None
        return found[1]


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


def news(tables: Tables, consumer: Consumer) -> pl.DataFrame:
    """The frame that a run gets of its only source; nothing is committed."""
    (frame,) = consumer.attempt("probe").read().values()
    return frame.collect()  # type: ignore[no-any-return]


def test_the_first_run_gets_all_rows_and_each_later_one_what_was_added(tables: Tables) -> None:
    """A snapshot, then the rows of the versions since."""
    tables.add(1, 2)
    tables.add(3)
    assert run(tables.consumer(), "a").spans["source"].text == "all rows of version 1"
    tables.add(4)
    tables.add(5)
    assert run(tables.consumer(), "b").spans["source"].text == "new in versions 2 to 3"
    assert tables.ids() == [1, 2, 3, 4, 5]


def test_the_commit_states_its_number_and_what_it_has_read(tables: Tables) -> None:
    """`n` rises by one, and `read` has the source's id and the versions, by parameter."""
    tables.add(1)
    run(tables.consumer(), "a")
    tables.add(2)
    run(tables.consumer(), "b")
    source = DeltaTable(str(tables.source)).metadata().id
    assert {name: tables.facts()[name] for name in ("n", "read")} == {"n": 2, "read": {"source": [str(source), 0, 1]}}


def test_a_run_without_anything_new_commits_its_position(tables: Tables) -> None:
    """The function gets an empty frame with the table's columns, and the target a commit."""
    tables.add(1)
    run(tables.consumer(), "a")
    before = tables.versions()
    assert news(tables, tables.consumer()).schema == {"id": pl.Int64}
    run(tables.consumer(), "b")
    assert (tables.versions(), tables.facts()["n"]) == (before + 1, 2)


def test_a_run_whose_receipt_is_there_reads_nothing(tables: Tables) -> None:
    """A retry after the commit is done, although there is something new by now."""
    tables.add(1)
    run(tables.consumer(), "a")
    tables.add(2)
    plan = run(tables.consumer(), "a", number=2)
    assert plan.is_done
    assert tables.ids() == [1]


def test_a_result_of_none_is_kept_as_read(tables: Tables) -> None:
    """A task that has stored nothing of what it got does not get it again, also in a retry of that run."""
    tables.add(1)
    run(tables.consumer(), "a")
    tables.add(2)
    run(tables.consumer(), "b", lambda _: None)
    assert run(tables.consumer(), "b", number=2).is_done
    tables.add(3)
    run(tables.consumer(), "c")
    assert tables.ids() == [1, 3]


def test_compaction_is_no_change(tables: Tables) -> None:
    """Rows that OPTIMIZE has put into other files are not new."""
    tables.add(1)
    tables.add(2)
    run(tables.consumer(), "a")
    DeltaTable(str(tables.source)).optimize.compact()
    assert news(tables, tables.consumer()).height == 0
    tables.add(3)
    DeltaTable(str(tables.source)).optimize.compact()
    run(tables.consumer(), "b")
    assert tables.ids() == [1, 2, 3]


def test_an_insert_only_merge_adds_rows(tables: Tables) -> None:
    """A merge that only inserts needs no change data feed."""
    tables.add(1)
    run(tables.consumer(), "a")
    table = DeltaTable(str(tables.source))
    new = pl.DataFrame({"id": [1, 2]})
    merger = table.merge(new, "source.id = target.id", source_alias="source", target_alias="target")
    merger.when_not_matched_insert_all().execute()
    run(tables.consumer(), "b")
    assert tables.ids() == [1, 2]


def rewrite(tables: Tables, how: str) -> None:
    table = DeltaTable(str(tables.source))
    match how:
        case "DELETE":
            table.delete("id = 1")
        case "UPDATE":
            table.update(updates={"id": "10"}, predicate="id = 1")
        case "WRITE":
            tables.add(7, mode="overwrite")
        case "RESTORE":
            table.restore(0)


@pytest.mark.parametrize("how", ["DELETE", "UPDATE", "WRITE", "RESTORE"])
def test_a_rewrite_without_a_feed_is_an_error_that_names_it(tables: Tables, how: str) -> None:
    """The version, its operation and the ways out; the target is unchanged."""
    tables.add(1)
    tables.add(2)
    run(tables.consumer(), "a")
    rewrite(tables, how)
    with pytest.raises(RunError, match=f"version 2 of .* is a {how} that did more than add rows") as raised:
        run(tables.consumer(), "b")
    assert 'on_rewrite="skip"' in str(raised.value)
    assert tables.versions() == 0


def test_a_restore_that_only_adds_rows_is_a_rewrite(tables: Tables) -> None:
    """Rows that come back with a RESTORE may have been read before."""
    tables.add(1)
    tables.add(2)
    DeltaTable(str(tables.source)).delete("id = 2")
    run(tables.consumer(), "a")
    DeltaTable(str(tables.source)).restore(1)
    with pytest.raises(RunError, match=r"version 3 of .* is a RESTORE"):
        run(tables.consumer(), "b")


def test_rewrites_are_left_out_whole_where_that_is_said(tables: Tables) -> None:
    """With on_rewrite="skip" the rows that such a commit adds are left out, those around it are not."""
    tables.add(1)
    consumer = tables.consumer(Changes(on_rewrite="skip"))
    run(consumer, "a")
    tables.add(2)
    rewrite(tables, "UPDATE")
    tables.add(3)
    run(consumer, "b")
    assert tables.ids() == [1, 2, 3]


def test_a_feed_tells_what_a_rewrite_has_added(tables: Tables) -> None:
    """Rows that were inserted or updated are new; rows that were deleted are not there."""
    tables.add(1, 2, 3, feed=True)
    run(tables.consumer(), "a")
    table = DeltaTable(str(tables.source))
    table.delete("id = 3")
    table.update(updates={"id": "10"}, predicate="id = 1")
    tables.add(4)
    run(tables.consumer(), "b")
    assert tables.ids() == [1, 2, 3, 4, 10]


def test_a_rewrite_before_the_feed_was_turned_on_is_an_error(tables: Tables) -> None:
    """A feed that begins after the commit tells nothing of it."""
    tables.add(1)
    tables.add(2)
    run(tables.consumer(), "a")
    table = DeltaTable(str(tables.source))
    table.delete("id = 1")
    table.alter.set_table_properties({"delta.enableChangeDataFeed": "true"})
    with pytest.raises(RunError, match=r"version 2 of .* is a DELETE"):
        run(tables.consumer(), "b")


def test_the_feed_has_every_change_with_its_version(tables: Tables) -> None:
    """kind="feed": the snapshot as inserts, then inserts, both images of updates, and deletes."""
    tables.add(1, 2, feed=True)
    consumer = tables.consumer(Changes("feed"))
    first = news(tables, consumer)
    assert first.columns == ["id", "_change_type", "_commit_version", "_commit_timestamp"]
    assert sorted(first.drop("_commit_timestamp").rows()) == [(1, "insert", 0), (2, "insert", 0)]
    run(consumer, "a")
    table = DeltaTable(str(tables.source))
    table.update(updates={"id": "10"}, predicate="id = 1")
    table.delete("id = 2")
    tables.add(3)
    tables.add(4, mode="overwrite")
    found = news(tables, consumer).drop("_commit_timestamp").rows()
    assert sorted(found, key=lambda row: (row[2], row[1], row[0])) == [
        (10, "update_postimage", 1),
        (1, "update_preimage", 1),
        (2, "delete", 2),
        (3, "insert", 3),
        (3, "delete", 4),
        (10, "delete", 4),
        (4, "insert", 4),
    ]
    moments = news(tables, consumer)["_commit_timestamp"]
    assert moments.dtype == pl.Datetime("us", "UTC")
    assert abs(moments.max() - dt.datetime.now(dt.UTC)) < dt.timedelta(hours=1)  # type: ignore[operator]


def test_the_last_change_of_a_key_counts(tables: Tables) -> None:
    """A key that is changed twice, deleted, and inserted again: its state after all of it, deletes marked."""
    tables.add(1, 2, 3, feed=True, value=[0, 0, 0])
    consumer = tables.consumer(Changes("latest", by=("id",)))
    run(consumer, "a")
    table = DeltaTable(str(tables.source))
    for value in ("1", "2"):
        table.update(updates={"value": value}, predicate="id = 1")
    table.delete("id = 2")
    table.delete("id = 3")
    tables.add(3, value=[9])
    found = sorted(news(tables, consumer).rows())
    assert found == [(1, 2, "update_postimage"), (2, 0, "delete"), (3, 9, "insert")]


def test_a_key_that_one_commit_deletes_and_adds_is_there(tables: Tables) -> None:
    """An overwrite of a table with a feed deletes and inserts a row at once."""
    tables.add(1, 2, feed=True)
    consumer = tables.consumer(Changes("latest", by=("id",)))
    run(consumer, "a")
    tables.add(1, mode="overwrite")
    assert sorted(news(tables, consumer).rows()) == [(1, "insert"), (2, "delete")]


def test_two_last_changes_of_a_key_are_refused(tables: Tables) -> None:
    """Two rows of a key in one commit: nobody can tell which came last."""
    tables.add(1, feed=True)
    consumer = tables.consumer(Changes("latest", by=("id",)))
    run(consumer, "a")
    tables.add(2, 2)
    with pytest.raises(RunError, match=r"version 1 of .* has several rows with the key id=2"):
        run(consumer, "b")


def test_a_null_key_is_a_key(tables: Tables) -> None:
    """Rows whose key is null have a last change, too."""
    pl.DataFrame({"id": [None, 1]}, schema={"id": pl.Int64}).write_delta(str(tables.source), delta_write_options=FEED)
    consumer = tables.consumer(Changes("latest", by=("id",)))
    assert sorted(news(tables, consumer)["id"].to_list(), key=str) == [1, None]
    run(consumer, "a")
    for value in (2, 3):
        frame = pl.DataFrame({"id": [None, value], "value": [value, value]}, schema_overrides={"id": pl.Int64})
        frame.write_delta(str(tables.source), mode="append", delta_write_options={"schema_mode": "merge"})
    assert sorted(news(tables, consumer).rows(), key=str) == [(2, 2, "insert"), (3, 3, "insert"), (None, 3, "insert")]


def test_a_merge_keeps_a_copy_of_a_table(tables: Tables) -> None:
    """DeltaMerge with the last changes: the columns of the feed decide, and are not stored."""
    tables.add(1, 2, feed=True)
    consumer = tables.consumer(Changes("latest", by=("id",)), returns=("dbxdec.DeltaMerge",))

    def upsert(read: dict[str, Any]) -> DeltaMerge:
        merge = DeltaMerge(read["source"], on="id").when_matched_delete("source._change_type = 'delete'")
        return merge.when_matched_update_all().when_not_matched_insert_all("source._change_type <> 'delete'")

    run(consumer, "a", upsert)
    assert pl.read_delta(str(tables.target)).columns == ["id"]
    DeltaTable(str(tables.source)).delete("id = 1")
    tables.add(3)
    run(consumer, "b", upsert)
    assert tables.ids() == tables.ids("source") == [2, 3]
    before = tables.versions()
    run(consumer, "c", upsert)
    assert (tables.versions(), tables.facts()["n"]) == (before + 1, 3)


def test_two_sources_have_one_position_in_one_commit(tables: Tables) -> None:
    """Both are read from where the commit has left them; a death between reading and commit changes neither."""
    tables.add(1, to="left")
    tables.add(10, to="right")
    consumer = tables.consumer(None, "left", "right")

    def both(read: dict[str, Any]) -> Any:
        return pl.concat([read["left"], read["right"]])

    run(consumer, "a", both)
    tables.add(2, to="left")
    consumer.attempt("b").read()
    tables.add(11, to="right")
    run(consumer, "b", both, number=2)
    run(consumer, "c", both)
    assert tables.ids() == [1, 2, 10, 11]
    assert {name: span[1:] for name, span in tables.facts()["read"].items()} == {"left": [1, 1], "right": [1, 1]}


def test_a_source_that_comes_later_is_read_from_its_beginning(tables: Tables) -> None:
    """An optional one that was not there in earlier runs, also where one of two outputs was written by then."""
    tables.add(1, to="left")
    outputs = {"good": (tables.manager, tables.folder / "good"), "bad": (tables.manager, tables.folder / "bad")}
    names = {name: (tables.manager, tables.folder / name) for name in ("left", "right")}
    consumer = Consumer(outputs, names, optional=True)

    def both(read: dict[str, Any]) -> Any:
        return pl.concat([frame for frame in read.values() if frame is not None])

    run(consumer, "a", both)
    tables.add(2, to="left")
    attempt = consumer.attempt("b")
    attempt.commit(both(attempt.read()), "good")
    tables.add(10, to="right")
    assert consumer.attempt("c").spans == {"left": (0, 1)}
    run(consumer, "c", both)
    assert run(consumer, "d", both).spans["right"].text == "all rows of version 0"
    assert tables.ids("good") == tables.ids("bad") == [1, 2, 10]
    run(consumer, "e", both)
    assert tables.ids("good") == tables.ids("bad") == [1, 2, 10]


def test_of_two_that_have_read_the_same_one_commits(tables: Tables) -> None:
    """Whichever is first: the other one is told that its rows were taken, and writes nothing."""
    tables.add(1)
    run(tables.consumer(), "a")
    tables.add(2)
    late = tables.consumer().attempt("b")
    rows = late.read()["source"]
    tables.add(3)
    run(tables.consumer(), "c")
    with pytest.raises(RunError, match="another run has taken what the task `clean` has read"):
        late.commit(rows)
    assert tables.ids() == [1, 2, 3]


def test_of_twenty_that_commit_at_once_one_does(tables: Tables) -> None:
    """Twenty runs have read the same rows, and commit at the same moment: the rows are there once."""
    tables.add(1)
    run(tables.consumer(), "a")
    for first in range(2, 8):
        tables.add(first)
        attempts = [tables.consumer().attempt(f"{first}-{i}") for i in range(20)]
        barrier = threading.Barrier(len(attempts))

        def commit(attempt: Attempt, barrier: threading.Barrier = barrier) -> bool:
            rows = attempt.read()["source"].collect()
            barrier.wait()
            try:
                attempt.commit(rows)
            except RunError:
                return False
            return True

        with ThreadPoolExecutor(len(attempts)) as pool:
            assert sum(pool.map(commit, attempts)) == 1
    assert tables.ids() == list(range(1, 8))


def test_two_attempts_of_a_run_leave_its_rows_once(tables: Tables) -> None:
    """A retry has read more than the attempt that is still at work: whichever commits first, the other is done."""
    for order in (0, 1):
        tables.add(10 * order + 1)
        first = tables.consumer().attempt(f"run-{order}")
        rows = [first.read()["source"].collect()]
        tables.add(10 * order + 2)
        second = tables.consumer().attempt(f"run-{order}", 2)
        rows.append(second.read()["source"].collect())
        pairs = list(zip((first, second), rows, strict=True))
        for attempt, value in pairs if order == 0 else reversed(pairs):
            attempt.commit(value)
    run(tables.consumer(), "after")
    assert tables.ids() == [1, 2, 11, 12]


def test_a_restored_target_reads_again_what_it_has_lost(tables: Tables) -> None:
    """The position is that of the version to which the table went back."""
    for i in range(4):
        tables.add(i)
        run(tables.consumer(), f"run-{i}")
    DeltaTable(str(tables.target)).restore(1)
    plan = run(tables.consumer(), "after")
    assert plan.spans["source"].after == 1
    assert tables.ids() == [0, 1, 2, 3]


def test_an_attempt_of_before_a_restore_does_not_commit_after_it(tables: Tables) -> None:
    """Its rows would follow others that are gone."""
    for i in range(2):
        tables.add(i)
        run(tables.consumer(), f"run-{i}")
    tables.add(2)
    late = tables.consumer().attempt("late")
    rows = late.read()["source"]
    DeltaTable(str(tables.target)).restore(0)
    with pytest.raises(RunError, match=r"was restored .* after the task `clean` had begun"):
        late.commit(rows)
    run(tables.consumer(), "after")
    assert tables.ids() == [0, 1, 2]


def test_a_target_with_rows_of_unknown_origin_is_an_error(tables: Tables) -> None:
    """A renamed task, or a table that another program has filled: not a first run."""
    tables.add(1)
    run(tables.consumer(), "a")
    with pytest.raises(RunError, match="has rows, and nothing in its log says up to where the task `tidy`") as raised:
        run(tables.consumer(None, task="tidy"), "b")
    assert "--adopt tidy=VERSION" in str(raised.value)
    assert tables.versions() == 0


def test_another_name_of_the_parameter_is_an_error(tables: Tables) -> None:
    """What the position belongs to is known by the parameter."""
    tables.add(1)
    run(tables.consumer(), "a")
    renamed = Consumer({"result": (tables.manager, tables.target)}, {"orders": (tables.manager, tables.source)})
    with pytest.raises(RunError, match=r"has read `orders` \(it has read `source`\)"):
        run(renamed, "b")
    assert tables.versions() == 0


@pytest.mark.parametrize(("where", "expected"), [("latest", [1, 4]), ("1", [1, 3, 4]), ("snapshot", [1, 1, 2, 3, 4])])
def test_a_person_says_where_a_task_begins(tables: Tables, where: str, expected: list[int]) -> None:
    """After the newest version, after a given one, or with all rows; later runs go on from there."""
    tables.add(1)
    run(tables.consumer(), "a")
    tables.add(2)
    tables.add(3)
    tidy = tables.consumer(None, task="tidy")
    run(tidy, "b", adopt=where)
    tables.add(4)
    run(tidy, "c")
    assert tables.ids() == expected


def test_a_beginning_for_a_task_that_has_a_position_is_an_error(tables: Tables) -> None:
    """It goes on from there, and a repair of the run that has begun there is done."""
    tables.add(1)
    run(tables.consumer(), "a")
    with pytest.raises(RunError, match="the task has read `source` up to version 0, and goes on from there"):
        run(tables.consumer(), "b", adopt="latest")


def test_a_person_goes_on_after_what_can_not_be_read(tables: Tables) -> None:
    """After a rewrite, by its version; what comes later is read, and a version that is read already changes nothing."""
    tables.add(1)
    run(tables.consumer(), "a")
    DeltaTable(str(tables.source)).delete("id = 1")
    tables.add(2)
    with pytest.raises(RunError, match="--adopt TASK=1"):
        run(tables.consumer(), "b")
    assert run(tables.consumer(), "c", adopt="1").spans["source"].text == "new in version 2"
    with pytest.raises(RunError, match="the task has read `source` up to version 2"):
        run(tables.consumer(), "d", adopt="1")
    assert tables.ids() == [1, 2]


def test_reading_all_again_is_refused_where_rows_would_be_doubled(tables: Tables) -> None:
    """An append to a table with rows; a merge may get a row twice."""
    tables.add(1)
    run(tables.consumer(), "a")
    with pytest.raises(RunError, match=r"would append all rows of .* which has rows already"):
        run(tables.consumer(), "b", restart=True)
    DeltaTable(str(tables.target)).delete()
    run(tables.consumer(), "c", restart=True)
    assert tables.ids() == [1]


def test_an_added_output_gets_what_the_other_one_has(tables: Tables) -> None:
    """After a death between two outputs the second one gets exactly the rows of the first, what is new comes later."""
    tables.add(1)
    outputs = {"good": (tables.manager, tables.folder / "good"), "bad": (tables.manager, tables.folder / "bad")}
    consumer = Consumer(outputs, {"source": (tables.manager, tables.source)})
    run(consumer, "a")
    for number in range(2, 5):
        tables.add(number)
        attempt = consumer.attempt(f"run-{number}")
        attempt.commit(attempt.read()["source"], *(["good"] if "good" in attempt.plan.progress else []))
    while (attempt := consumer.attempt(f"end-{tables.versions('bad')}-{tables.versions('good')}")).plan.progress:
        if all(span.is_empty for span in attempt.plan.spans.values()) and len(attempt.plan.progress) == 2:
            break
        attempt.commit(attempt.read()["source"])
    assert tables.ids("good") == tables.ids("bad") == [1, 2, 3, 4]


def test_a_first_run_may_leave_out_what_is_there(tables: Tables) -> None:
    """starting="latest": an empty frame makes the table, and later rows are new."""
    tables.add(1)
    consumer = tables.consumer(Changes(starting="latest"), optional=True)
    assert run(consumer, "a").needs_table
    assert tables.ids() == []
    tables.add(2)
    run(consumer, "b")
    assert tables.ids() == [2]


def test_a_position_outlives_the_log_of_the_target(tables: Tables) -> None:
    """Commits are cleaned up behind a checkpoint; the identifiers in it tell number and version."""
    tables.add(1)
    run(tables.consumer(), "a")
    tables.add(2)
    run(tables.consumer(), "b")
    DeltaTable(str(tables.target)).create_checkpoint()
    DeltaTable(str(tables.target)).alter.set_table_description("since then")
    for version in range(2):
        (tables.target / "_delta_log" / f"{version:020}.json").unlink()
    tables.add(3)
    assert run(tables.consumer(), "c").spans["source"].after == 1
    assert tables.ids() == [1, 2, 3]
    assert tables.facts()["n"] == 3


@pytest.mark.parametrize(("adopt", "expected"), [("0", [0, 1, 2, 3, 9]), ("latest", [0, 9])])
def test_a_person_says_where_a_task_goes_on_that_no_log_tells(tables: Tables, adopt: str, expected: list[int]) -> None:
    """The target was restored to a version that its log no longer has; what a person says begins a new count."""
    for i in range(4):
        tables.add(i)
        run(tables.consumer(), f"run-{i}")
    target = DeltaTable(str(tables.target))
    target.restore(0)
    target.create_checkpoint()
    DeltaTable(str(tables.target)).alter.set_table_description("since then")
    for version in range(4):
        (tables.target / "_delta_log" / f"{version:020}.json").unlink()
    with pytest.raises(RunError, match="no longer tells how far the task `clean` has read"):
        run(tables.consumer(), "after")
    run(tables.consumer(), "after", adopt=adopt)
    tables.add(9)
    run(tables.consumer(), "later")
    assert tables.ids() == expected


def test_a_source_whose_log_is_gone_is_an_error(tables: Tables) -> None:
    """A pause longer than the source's log is kept."""
    for i in range(4):
        tables.add(i)
        if i == 0:
            run(tables.consumer(), "a")
    DeltaTable(str(tables.source)).create_checkpoint()
    (tables.source / "_delta_log" / f"{1:020}.json").unlink()
    (tables.source / "_delta_log" / f"{0:020}.json").unlink()
    with pytest.raises(RunError, match=r"version 1 of .* can't be read any more: its log has been cleaned up"):
        run(tables.consumer(), "b")


def test_a_vacuumed_file_of_the_span_is_an_error(tables: Tables) -> None:
    """Rows that were put together and vacuumed can't be told apart any more; the function is not called."""
    tables.add(1)
    run(tables.consumer(), "a")
    tables.add(2)
    tables.add(3)
    table = DeltaTable(str(tables.source))
    table.optimize.compact()
    table.vacuum(0, enforce_retention_duration=False, dry_run=False)
    with pytest.raises(RunError, match=r"version 1 of .* has been vacuumed"):
        run(tables.consumer(), "b")


def test_a_table_that_was_made_again_is_an_error(tables: Tables) -> None:
    """It has another id, and its versions say nothing about the earlier one."""
    tables.add(1)
    run(tables.consumer(), "a")
    shutil.rmtree(tables.source)
    tables.add(2)
    tables.add(3)
    with pytest.raises(RunError, match=r"is another table than the one that `source` .* has read up to version 0"):
        run(tables.consumer(), "b")
    shutil.rmtree(tables.source)
    with pytest.raises(RunError, match=r"there is nothing at .* any more, of which `source` has read a part"):
        run(tables.consumer(), "b")


@pytest.mark.parametrize(
    ("changes", "optional", "adopt", "said"),
    [
        (Changes(), False, "", "there is nothing at .*, which the parameter `source` reads"),
        (Changes(starting="latest"), True, "", r'`source` reads it with starting="latest"'),
        (Changes(starting="latest"), False, "", r'`source` reads it with starting="latest"'),
        (Changes(), True, "latest", "so `--adopt` can't say where `source` begins"),
    ],
)
def test_a_source_that_is_not_there_yet_is_an_error_where_its_reader_can_not_wait(
    tables: Tables, changes: Changes, optional: bool, adopt: str, said: str
) -> None:
    """One that may get None waits, unless it has to leave out what comes first."""
    with pytest.raises(RunError, match=said):
        tables.consumer(changes, optional=optional).attempt("a", adopt=adopt)


def test_a_task_can_not_go_on_after_a_version_that_is_not_there(tables: Tables) -> None:
    """The newest one is the last that may be named."""
    tables.add(1)
    tables.add(2)
    with pytest.raises(RunError, match=r"`--adopt clean=2`: .* has no version 2, its newest is 1"):
        tables.consumer().attempt("a", adopt="2")
    assert tables.consumer().attempt("a", adopt="1").spans == {"source": (1, 1)}


def test_a_target_that_was_deleted_begins_anew(tables: Tables) -> None:
    """Without a table there is no position: all rows."""
    tables.add(1)
    run(tables.consumer(), "a")
    shutil.rmtree(tables.target)
    tables.add(2)
    run(tables.consumer(), "b")
    assert tables.ids() == [1, 2]


def test_new_columns_are_there_and_lost_ones_an_error(tables: Tables) -> None:
    """Rows have the columns of the newest version: null where they are older, and no column is dropped in silence."""
    tables.add(1)
    run(tables.consumer(), "a", lambda read: read["source"].select("id"))
    tables.add(2)
    tables.add(3, note=["x"])
    assert sorted(news(tables, tables.consumer()).rows()) == [(2, None), (3, "x")]
    run(tables.consumer(), "b", lambda read: read["source"].select("id"))
    other = pl.DataFrame({"id": [4]})
    other.write_delta(str(tables.source), mode="overwrite", delta_write_options={"schema_mode": "overwrite"})
    with pytest.raises(RunError, match="has lost its columns `note` since the task has read it"):
        run(tables.consumer(Changes(on_rewrite="skip")), "c")


def test_partitioned_sources_keep_their_values(tables: Tables) -> None:
    """The values of partitions come from the log, also those that a folder's name can't hold."""
    frame = pl.DataFrame({"id": [1, 2, 3], "day": ["a=b/c", None, "x"]})
    for mode in ("error", "append"):
        frame.write_delta(
            str(tables.source),
            mode=mode,
            delta_write_options={"partition_by": ["day"], **FEED},
        )
        if mode == "error":
            run(tables.consumer(Changes("feed")), "a", lambda read: read["source"].select("id", "day"))
    DeltaTable(str(tables.source)).delete("day = 'x'")
    found = news(tables, tables.consumer(Changes("feed")))
    assert sorted(found.select("id", "day", "_change_type").rows(), key=str) == [
        (1, "a=b/c", "insert"),
        (2, None, "insert"),
        (3, "x", "delete"),
        (3, "x", "delete"),
        (3, "x", "insert"),
    ]


def test_a_column_with_the_name_of_a_change_is_refused(tables: Tables) -> None:
    """The feed adds columns of that name."""
    pl.DataFrame({"id": [1], "_change_type": ["x"]}).write_delta(str(tables.source))
    with pytest.raises(RunError, match="has the column `_change_type`"):
        run(tables.consumer(Changes("feed")), "a")
    tables.add(1, to="other")
    with pytest.raises(RunError, match="has no column `key`, by which `other` tells rows apart"):
        run(tables.consumer(Changes("latest", by=("key",)), "other"), "a")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "row"}, "did you mean `rows`"),
        ({"kind": "latest"}, "does not say which columns are the key"),
        ({"by": "id"}, "leave `by=` out"),
        ({"kind": "latest", "by": ["id", "id"]}, "name each column once"),
        ({"kind": "latest", "by": 3}, "name the columns of the key"),
        ({"starting": "now"}, 'starting="snapshot" or starting="latest"'),
        ({"at_least_once": 1}, "give True or False"),
    ],
)
def test_wrong_arguments_say_what_to_write(tables: Tables, wrong: dict[str, Any], said: str) -> None:
    """Outside of a build they are raised."""
    with pytest.raises(DbxdecError, match=said.replace("(", r"\(")):
        tables.manager.table("source").changes(**wrong)


def test_a_remote_source_and_target_are_read_by_their_logs(tmp_path: Path) -> None:
    """On an object storage as on a disk, with and without a checkpoint; and without asking for other files."""
    with object_storage(tmp_path / "cloud") as cloud:
        manager = PolarsDeltaIoManager("s3://bucket", mode="append", storage_options=cloud.options)
        consumer = Consumer(
            {"result": (manager, "s3://bucket/target")}, {"source": (manager, "s3://bucket/source")}, Changes("feed")
        )

        def add(number: int) -> None:
            frame = pl.DataFrame({"id": [number], "day": ["a b/ü"]})
            # All that is stored there looks years old.
            kept = {**FEED["configuration"], "delta.enableExpiredLogCleanup": "false"}
            options = {"partition_by": ["day"], "configuration": kept}
            frame.write_delta(
                "s3://bucket/source", mode="append", storage_options=cloud.options, delta_write_options=options
            )

        for number in range(2):
            add(number)
            run(consumer, f"run-{number}", lambda read: read["source"].select("id", "day"))
        table = DeltaTable("s3://bucket/source", storage_options=cloud.options)
        table.create_checkpoint()
        for number in range(2, 4):
            add(number)
        cloud.asked()
        attempt = consumer.attempt("late")
        assert sorted(attempt.read()["source"].collect()["id"].to_list()) == [2, 3]
        files = [
            one for one in cloud.asked() if one.endswith(".parquet") and "checkpoint" not in one and "source" in one
        ]
        assert len({one.split()[-1] for one in files}) == 2
        attempt.commit(attempt.read()["source"].select("id", "day"))
        found = pl.read_delta("s3://bucket/target", storage_options=cloud.options)
        assert sorted(found["id"].to_list()) == [0, 1, 2, 3]
        assert found["day"].unique().to_list() == ["a b/ü"]
