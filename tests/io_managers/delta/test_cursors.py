"""How far a task has read, by the commits of the table that it writes: which count, and what nobody can tell."""

from __future__ import annotations

from typing import Any

import pytest

from dbxdec.io_managers.delta.progress import Consumer, Search, UnclearError, search
from dbxdec.io_managers.delta.receipts import Commit, Left
from dbxdec.io_managers.positions import Progress, Span
from delta_tools import receipt

CLEAN, OTHER = Consumer("shop", "hourly", "clean", "result"), Consumer("shop", "hourly", "other", "result")
RUN = receipt("77", task="clean")


def wrote(
    version: int, until: int, *, seen: int | None = None, epoch: int = 0, number: int = 1, **facts: Any
) -> Commit:
    """A commit of the consumer, which has read up to the version `until`; `facts` replace those in its receipt."""
    of = Progress(CLEAN.base, epoch, number, {"orders": Span("id", None, until)}, version - 1 if seen is None else seen)
    return Commit(version, 0, "WRITE", metadata=RUN.to_metadata(**Left("files").facts(), **(of.facts() | facts)))


def restored(version: int, to: int | None) -> Commit:
    """A RESTORE."""
    return Commit(version, 0, "RESTORE", {} if to is None else {"version": str(to)})


def found(*commits: Commit) -> Search:
    """What the commits tell of the consumer."""
    return search(commits, CLEAN, receipt("78").id, "lake/orders")


def position(*commits: Commit) -> tuple[int, int] | None:
    """The source's version up to which the consumer has read, and the epoch of its next commit."""
    told = found(*commits)
    return None if told.cursor is None else (told.cursor.read["orders"].until, told.epoch)


class TestRestores:
    def test_one_takes_back_the_positions_of_the_commits_that_it_voids(self) -> None:
        """The next commit begins a new count."""
        assert position(restored(3, 1), wrote(2, 8), wrote(1, 5)) == (5, 3)

    def test_one_that_the_writer_has_seen_is_no_doubt(self) -> None:
        """It has read on from the position that the RESTORE has left."""
        assert position(wrote(4, 8, epoch=3, seen=3), restored(3, 1), wrote(2, 8), wrote(1, 5)) == (8, 3)

    @pytest.mark.parametrize("seen", [2, 3])
    def test_other_commits_since_the_writer_has_looked_are_no_doubt(self, seen: int) -> None:
        """Neither a RESTORE that the writer has seen, which comes just before them."""
        assert position(wrote(5, 8, epoch=2, seen=seen), Commit(4), Commit(3), restored(2, 0)) == (8, 2)

    def test_a_commit_that_knows_of_none_of_them_is_an_error(self) -> None:
        """It has added rows that follow those which are gone: neither its position nor the one before may count."""
        commits = [wrote(5, 8, seen=2), Commit(4), restored(3, 1), wrote(2, 6), wrote(1, 5)]
        with pytest.raises(UnclearError, match=r"version 5 .* the task `clean` .* RESTORE, which version 3"):
            found(*commits)

    def test_a_commit_that_an_attempt_of_an_earlier_count_follows_is_an_error(self) -> None:
        """The earlier attempt had begun before a RESTORE, and has written after a run that has seen it."""
        commits = [wrote(5, 9, seen=2), wrote(4, 7, epoch=3), restored(3, 1), wrote(2, 6)]
        with pytest.raises(UnclearError, match="restore the table again, to version 4"):
            found(*commits)

    def test_of_one_that_does_not_say_to_where_nobody_can_tell(self) -> None:
        """It may have taken back the position below it."""
        with pytest.raises(UnclearError, match="version 3 of lake/orders is a RESTORE that does not say"):
            found(restored(3, None), wrote(2, 8))


class TestForms:
    @pytest.mark.parametrize(
        "facts",
        [
            {"n": "1"},
            {"n": True},
            {"n": -1},
            {"n": 1.0},
            {"seen": -2},
            {"seen": "0"},
            {"read": {"orders": ["id", 1]}},
            {"read": {"orders": [7, None, 3]}},
            {"read": {"orders": ["id", -1, 3]}},
            {"read": {"orders": ["id", "1", 3]}},
            {"read": {"orders": ["id", None, None]}},
            {"read": [["id", None, 3]]},
            {"stamps": {"orders": "now"}},
            {"stamps": [1]},
        ],
    )
    def test_a_receipt_of_another_form_is_an_error(self, facts: dict[str, Any]) -> None:
        """It never counts as a position, nor as none."""
        with pytest.raises(UnclearError, match=r"version 4 of lake/orders says .* in another form"):
            found(wrote(4, 8, **facts))

    @pytest.mark.parametrize("facts", [{"seen": -1}, {"seen": 0}, {"n": 0}, {"stamps": {}}, {"stamps": {"orders": 0}}])
    def test_its_least_numbers_are_taken(self, facts: dict[str, Any]) -> None:
        """No table had been there, or it had one version."""
        assert position(wrote(0, 8, **facts)) == (8, 0)

    def test_those_of_other_tasks_are_passed_over(self) -> None:
        """Whatever they say."""
        facts = Progress(OTHER.base, 0, 1, {"orders": Span("id", None, 9)}).facts() | {"n": "x"}
        commit = Commit(4, 0, "WRITE", metadata=receipt().to_metadata(**Left("files").facts(), **facts))
        assert position(commit, wrote(3, 8)) == (8, 0)
