"""Receipts in a table's log: which results still count, and what a reader is told of the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dbxdec.errors import NotWrittenError, RunError
from dbxdec.io_managers.contexts import InputContext, WriteId
from dbxdec.io_managers.delta.receipts import (
    CLOCK_SKEW_MS,
    Commit,
    Kind,
    Left,
    Trail,
    marking,
    of_partitions,
    overlap,
    result,
    search,
)
from dbxdec.io_managers.delta.slices import MAX_ROWS, Slice
from delta_tools import receipt

LOAD, OTHER = receipt(task="load"), receipt(task="other")
MINUTE, NOON = 60_000, 1_700_000_000_000
HERE = InputContext("lake/orders", "frame")


def wrote(version: int, kind: Kind = "files", *, own: bool = False, by: Any = LOAD, at: int | None = NOON) -> Commit:
    """A commit with a receipt."""
    return Commit(version, at, "WRITE", metadata=by.to_metadata(**Left(kind, own=own).facts()))


def restored(version: int, /, **parameters: Any) -> Commit:
    """A commit that takes others back."""
    return Commit(version, NOON + 60 * MINUTE, "RESTORE", {name: str(value) for name, value in parameters.items()})


def versions(*commits: Commit, writes: Any = (LOAD.id,)) -> tuple[dict[str, int], dict[str, int], int | None]:
    """The versions that count and those that are undone, by task; the RESTORE that is unclear."""
    trail = search(commits, writes)
    return (
        {write.task: found.version for write, found in trail.found.items()},
        {write.task: found.version for write, (found, _) in trail.undone.items()},
        trail.unclear,
    )


class TestSearch:
    @pytest.mark.parametrize(
        ("commits", "version"),
        [
            ([wrote(3), wrote(2)], 3),
            ([wrote(3, "none"), wrote(2)], 2),  # a later attempt had nothing to write
            ([wrote(3, own=True), wrote(2)], 2),  # the task's own commits are none of its result
            ([wrote(3, "none"), wrote(2, own=True)], 2),
            ([wrote(3, own=True), wrote(2, "none")], 3),
            ([wrote(3, own=True), wrote(2, own=True)], 3),
            ([wrote(3, "none"), wrote(2, "none")], 3),
            ([wrote(3, "none"), wrote(2, own=True), wrote(1)], 1),
        ],
    )
    def test_the_newest_result_counts(self, commits: list[Commit], version: int) -> None:
        """Over commits of the task's own code, and those over "nothing to write"."""
        assert versions(*commits) == ({"load": version}, {}, None)

    def test_commits_of_others_say_nothing(self) -> None:
        """Another writer's, another task's, and a receipt of a shape that is not known."""
        strange = Commit(2, metadata=LOAD.to_metadata(kind="strange"))
        assert versions(Commit(4, metadata="by hand"), Commit(3), strange, wrote(1, by=OTHER)) == ({}, {}, None)

    def test_it_reads_no_further_than_to_the_results(self) -> None:
        """The log of a table may be long; the newest version is known all the same."""

        def commits() -> Iterator[Commit]:
            yield Commit(9)
            yield wrote(8, by=OTHER)
            yield wrote(7)
            raise AssertionError("read too far")

        trail = search(commits(), [LOAD.id, OTHER.id])
        assert trail.newest == 9
        assert {write.task for write in trail.found} == {"load", "other"}

    def test_it_goes_on_after_what_is_no_result(self) -> None:
        """A commit that left nothing may have a result below it."""
        found, _, _ = versions(wrote(9, "none"), wrote(8, by=OTHER), wrote(7), writes=[LOAD.id, OTHER.id])
        assert found == {"load": 7, "other": 8}


class TestRestore:
    def test_commits_between_it_and_its_version_are_undone(self) -> None:
        """Those at and below the version that it went back to are not."""
        commits = [restored(5, version=2), wrote(4), wrote(3, by=OTHER), wrote(2)]
        assert versions(*commits, writes=[LOAD.id, OTHER.id]) == ({"load": 2}, {"load": 4, "other": 3}, None)

    def test_the_newest_of_those_undone_is_told(self) -> None:
        """A retry wrote again before the table was restored."""
        assert versions(restored(5, version=1), wrote(4), wrote(3)) == ({}, {"load": 4}, None)

    @pytest.mark.parametrize("later", [wrote(4, "none"), wrote(4, own=True)])
    def test_a_result_that_is_undone_is_told_before_what_is_none(self, later: Commit) -> None:
        """Its commit alone has the number that the next one must be above; that of its numbers is later."""
        assert versions(restored(5, version=1), later, wrote(3)) == ({}, {"load": 3}, None)

    def test_what_was_written_again_counts(self) -> None:
        """A repair after the table was restored."""
        assert versions(wrote(6), restored(5, version=1), wrote(4))[0] == {"load": 6}

    def test_a_restore_that_is_undone_undoes_nothing(self) -> None:
        """It lies between another one and the version that this went back to."""
        commits = [restored(6, version=4), restored(5, version=1), wrote(4)]
        assert versions(*commits) == ({"load": 4}, {}, None)

    def test_two_of_them_one_below_the_other(self) -> None:
        """Each undoes its own commits."""
        commits = [restored(8, version=6), wrote(7), restored(6, version=2), wrote(5, by=OTHER), wrote(2)]
        assert versions(*commits, writes=[LOAD.id, OTHER.id]) == ({"load": 2}, {"load": 7, "other": 5}, None)

    @pytest.mark.parametrize(
        ("later", "found", "unclear"),
        [
            (2 * MINUTE, False, False),  # written after the moment: undone
            (MINUTE, False, False),
            (MINUTE - 1, False, True),  # the storage has its own clock
            (0, False, True),
            (-MINUTE, False, True),
            (-MINUTE - 1, True, False),  # written before the moment: kept
        ],
    )
    def test_one_by_time_leaves_a_minute_of_doubt(self, later: int, found: bool, unclear: bool) -> None:
        """How much later than the moment of the RESTORE the commit says that it was made decides."""
        kept, undone, doubt = versions(restored(5, datetime=NOON), wrote(4, at=NOON + later))
        assert kept == ({"load": 4} if found else {})
        assert undone == ({} if found else {"load": 4})
        assert doubt == (5 if unclear else None)

    @pytest.mark.parametrize(
        ("restore", "at"),
        [(restored(5), NOON), (restored(5, version="x"), NOON), (restored(5, datetime=NOON), None)],
    )
    def test_one_that_does_not_say_enough_is_unclear(self, restore: Commit, at: int | None) -> None:
        """It may have undone what it finds below."""
        assert versions(restore, wrote(4, at=at)) == ({}, {"load": 4}, 5)

    def test_an_unclear_one_over_other_writers_is_no_doubt(self) -> None:
        """Only receipts that are looked for make a difference."""
        assert versions(restored(5), wrote(4, by=OTHER)) == ({}, {}, None)

    def test_what_is_below_a_commit_that_is_kept_is_kept(self) -> None:
        """A commit that is surely older than the moment ends the search for what is undone."""
        old = Commit(4, NOON - 60 * MINUTE)
        assert versions(restored(5, datetime=NOON), old, wrote(3, at=NOON)) == ({"load": 3}, {}, None)


def read(*commits: Commit, committed: bool = False, complete: bool = True) -> int:
    """The version that a reader gets."""
    return result(search(commits, [LOAD.id]), LOAD.id, HERE, committed=committed, complete=complete).version


class TestResult:
    def test_a_result_is_read(self) -> None:
        """Whatever else is not known."""
        assert read(wrote(3), complete=False) == 3

    @pytest.mark.parametrize(
        ("commits", "known", "said"),
        [
            ([restored(5), wrote(4)], {}, "version 5 of lake/orders is a RESTORE that does not say which version"),
            (
                [restored(5, version=1), wrote(4)],
                {},
                "of lake/orders, which the parameter `frame` reads, but the RESTORE of version 5 has undone it",
            ),
            ([restored(5, version=3), wrote(4), wrote(2, "none")], {}, "but the RESTORE of version 5 has undone it"),
            ([], {"committed": True}, "but the commit with its receipt has been cleaned from the log"),
            ([], {"complete": False}, "no longer reaches back to the start of this run"),
            ([], {"committed": True, "complete": False}, "has been cleaned from the log"),
        ],
    )
    def test_without_a_proof_it_is_no_missing_result(
        self, commits: list[Commit], known: dict[str, bool], said: str
    ) -> None:
        """The task may have written: None would be wrong for an optional reader."""
        with pytest.raises(RunError, match=said) as error:
            read(*commits, **known)
        assert not isinstance(error.value, NotWrittenError)

    @pytest.mark.parametrize(
        "commits",
        [
            [],
            [wrote(3, "none")],
            [wrote(6, "none"), restored(5, version=1), wrote(4)],  # the repair had nothing to write
            [wrote(6, "none"), restored(5), wrote(4)],
        ],
    )
    def test_with_a_proof_there_is_nothing_to_read(self, commits: list[Commit]) -> None:
        """Nothing in a whole log, or a receipt that says so after all else."""
        with pytest.raises(NotWrittenError):
            read(*commits)

    def test_a_receipt_of_nothing_outlives_its_log(self) -> None:
        """What is missing below it can't be newer."""
        with pytest.raises(NotWrittenError):
            read(wrote(3, "none"), committed=True, complete=False)

    def test_an_empty_trail_has_seen_nothing(self) -> None:
        """Not even a version."""
        assert Trail().newest == search([], [LOAD.id]).newest == -1


class TestFacts:
    @pytest.mark.parametrize(
        "left",
        [
            *(Left(kind) for kind in ("whole", "files", "merge", "kept", "none")),
            Left("files", own=True),
            Left("slice", Slice(("day",), (("2024-01-01",), (None,)))),
        ],
    )
    def test_facts_come_back(self, left: Left) -> None:
        """What a receipt says is what was written."""
        assert Left.of_facts(left.facts()) == left

    @pytest.mark.parametrize(
        "facts",
        [
            {},
            {"kind": "part"},
            {"kind": "slice"},
            {"kind": "slice", "slice": 3},
            {"kind": "whole", "slice": {"columns": ["a"], "rows": [["x"]]}},
        ],
    )
    def test_facts_of_another_shape_are_none(self, facts: dict[str, Any]) -> None:
        """A newer dbxdec, or another writer, may have written them."""
        assert Left.of_facts(facts) is None

    def test_only_true_says_that_a_commit_is_the_tasks_own(self) -> None:
        """Any other value is of a later form."""
        assert Left.of_facts({"kind": "files", "own": "yes"}) == Left("files")

    def test_partitions_are_a_slice_as_long_as_a_receipt_can_carry_them(self) -> None:
        """Beyond that, the files of the commit are what the task returned."""
        many = [[i] for i in range(MAX_ROWS + 1)]
        assert of_partitions(["n"], many[:-1]).kind == "slice"
        assert of_partitions(["n"], many) == Left("files")

    def test_clocks_may_differ_by_a_day(self) -> None:
        """A writer's clock may be behind by that much: its commits are looked for."""
        assert CLOCK_SKEW_MS == 24 * 60 * MINUTE


def test_slices_that_share_a_value_overlap() -> None:
    """The labels of the first two are told, in the order of the writes."""
    a, b, ab = (Slice(("k",), tuple((text,) for text in texts)) for texts in ("a", "b", "ab"))
    assert overlap([("one", a), ("two", b)]) is None
    assert overlap([("one", a), ("two", b), ("three", ab)]) == ("one", "three")
    assert overlap([("one", b), ("two", a), ("three", a)]) == ("two", "three")


def test_writes_differ_in_each_part() -> None:
    """A receipt of another run, item or output is none of this write."""
    others = [WriteId("1", "job", run, "load", item, output) for run, item, output in ("8..", "7i.", "7.o")]
    commits = [wrote(i, by=receipt(task="load").__class__(one, 1, "b", "p")) for i, one in enumerate(others)]
    assert versions(*reversed(commits)) == ({}, {}, None)


def streamed(version: int, after: int, kind: Kind = "files") -> Commit:
    """A commit of a stream, whose first one follows the version `after`."""
    return Commit(version, NOON, "STREAMING UPDATE", metadata=LOAD.to_metadata(**Left(kind, after=after).facts()))


class TestStreams:
    def test_all_commits_of_a_stream_count(self) -> None:
        """Those of other writers between them do not, and nothing below the version at its start is read."""
        read = []

        def log() -> Iterator[Commit]:
            for commit in (streamed(9, 4), wrote(8, by=OTHER), streamed(7, 4), streamed(5, 4), wrote(4), wrote(3)):
                read.append(commit.version)
                yield commit

        trail = search(log(), [LOAD.id])
        assert [part.version for part in trail.found[LOAD.id].parts] == [5, 7, 9]
        assert read == [9, 8, 7, 5]
        assert not trail.cut

    def test_a_retry_that_saw_nothing_of_an_earlier_attempt_ends_no_search(self) -> None:
        """The earlier attempt committed after the retry had looked."""
        trail = search([streamed(9, 6), streamed(7, 4), streamed(5, 4), wrote(4, by=OTHER)], [LOAD.id])
        assert [part.version for part in trail.found[LOAD.id].parts] == [5, 7, 9]

    def test_a_part_of_a_stream_is_no_result(self) -> None:
        """Commits that are cleaned from the log, or undone by a RESTORE, are an error of the reader."""
        trail = search([streamed(9, 4), streamed(7, 4)], [LOAD.id])
        assert trail.cut == {LOAD.id}
        with pytest.raises(RunError, match="no longer has all commits of the stream of the task `load`"):
            result(trail, LOAD.id, HERE, committed=False, complete=True)
        trail = search([restored(8, version=6), streamed(7, 4), streamed(5, 4), wrote(4, by=OTHER)], [LOAD.id])
        with pytest.raises(RunError, match=r"wrote version 7 of lake/orders.*the RESTORE of version 8 has undone it"):
            result(trail, LOAD.id, HERE, committed=False, complete=True)

    def test_nothing_to_write_beside_a_stream_is_no_other_result(self) -> None:
        """A retry that returned None leaves what the stream has stored."""
        trail = search([wrote(9, "none"), streamed(7, 4), streamed(5, 4), wrote(4, by=OTHER)], [LOAD.id])
        assert [part.version for part in trail.found[LOAD.id].parts] == [5, 7]


def merged(condition: str, operation: str = "MERGE") -> Commit:
    """A commit as Spark describes it: the condition of the merge, and no metadata."""
    return Commit(4, NOON, operation, {"predicate": condition})


class TestMarks:
    @pytest.mark.parametrize("run", ["77", 'a"b\\', "${secrets/a}", "dbxdec:"])
    def test_the_condition_of_a_merge_may_carry_its_receipt(self, run: str) -> None:
        """Spark puts a number after the name of a column, and may split the condition."""
        given = receipt(run, task="load")
        mark = marking(given.to_metadata(**Left("merge").facts()))
        assert "$" not in mark
        commit = merged(json.dumps(["((k#1 = k#2) AND", f"({mark}#12 IS NULL))"]))
        found = search([commit], [given.id]).found[given.id]
        assert (found.receipt, found.left) == (given, Left("merge"))

    @pytest.mark.parametrize(
        "commit",
        [
            merged(json.dumps(["(k#1 = k#2)"])),
            merged(json.dumps(["dbxdec:"])),
            merged(json.dumps(["dbxdec:{"])),
            merged(json.dumps([1, "dbxdec:{}"])),
            merged("dbxdec:{}"),
            merged(json.dumps([marking(LOAD.to_metadata(**Left("merge").facts()))]), "DELETE"),
            Commit(4, NOON, "MERGE"),
            Commit(4, NOON, "MERGE", {"predicate": 1}),
        ],
    )
    def test_other_conditions_carry_none(self, commit: Commit) -> None:
        """Neither those of other operations, nor such that only look like one."""
        assert search([commit], [LOAD.id]).found == {}


def noted(version: int, mark: str | None, kind: Kind = "none", **facts: Any) -> Commit:
    """A commit of the task with the mark of its write."""
    told = {**Left(kind).facts(), **facts, **({} if mark is None else {"write": mark})}
    return Commit(version, NOON, "WRITE", metadata=LOAD.to_metadata(**told))


class TestNotes:
    def test_a_later_commit_may_state_how_the_expectations_came_out(self) -> None:
        """The rows are those of the commit before it."""
        found = search([noted(4, "m", expect={"late": 3}), noted(3, "m", "files")], [LOAD.id]).found[LOAD.id]
        assert (found.version, found.last, found.left.kind) == (3, 4, "files")
        assert found.expectations == {"late": 3}

    @pytest.mark.parametrize(
        "note",
        [
            noted(4, "other", expect={"late": 3}),  # of an attempt that was killed before its rows were there
            noted(4, None, expect={"late": 3}),
            noted(4, "m"),
            noted(4, "m", expect=3),
        ],
    )
    def test_a_note_of_another_write_is_none(self, note: Commit) -> None:
        """Only what has the same mark, and states something, belongs to the rows."""
        found = search([note, noted(3, "m", "files")], [LOAD.id]).found[LOAD.id]
        assert (found.version, found.last, found.expectations) == (3, 3, {})

    def test_rows_without_a_mark_have_no_note(self) -> None:
        """Whatever follows them."""
        found = search([noted(4, None, expect={"late": 3}), noted(3, None, "files")], [LOAD.id]).found[LOAD.id]
        assert (found.last, found.expectations) == (3, {})
