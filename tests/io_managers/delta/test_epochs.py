"""What has taken keys away from a table: how much of a log tells it, and which writes only receipts tell of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dbxdec.io_managers.delta.epochs import needed
from dbxdec.io_managers.delta.key_log import Identifier, KeyLog
from dbxdec.io_managers.delta.receipts import Commit, Left
from delta_tools import RECEIPT


def keyed(version: int, left: Left | None = None, *, key: str = "") -> Commit:
    """A commit of a write with a key."""
    write = replace(RECEIPT.id, run=f"run-{version}", key=key or f"day={version}")
    facts = (left or Left("merge")).facts()
    return Commit(version, version, "MERGE", metadata=replace(RECEIPT, id=write).to_metadata(**facts))


def restored(version: int, to: int | None) -> Commit:
    """A RESTORE."""
    return Commit(version, version, "RESTORE", {} if to is None else {"version": str(to)})


def read(*newest: Commit) -> int:
    """The oldest version that is read of a log with these newest commits, and ordinary ones below."""

    def log() -> Iterator[Commit]:
        yield from newest
        yield from (keyed(version) for version in range(newest[-1].version - 1, -1, -1))

    return list(needed(log()))[-1].version


@pytest.mark.parametrize(
    ("newest", "oldest"),
    [
        ([Commit(50)], 47),  # each write notes what came before it; the last ones may have been killed before
        ([keyed(50)], 48),
        ([restored(50, 49)], 47),
        ([restored(50, 20)], 20),
        ([restored(50, 20), restored(49, 30)], 20),
        ([restored(50, 30), restored(49, 20)], 20),
        ([restored(50, None)], 0),
        ([restored(50, None), restored(49, 20)], 0),
        ([restored(50, 20), restored(49, None)], 0),
    ],
)
def test_a_log_is_read_to_what_its_restores_went_back_to(newest: list[Commit], oldest: int) -> None:
    """All of it where one of them does not say it; a few writes with a key where there is none."""
    assert read(*newest) == oldest


def test_a_merge_that_took_no_identifier_has_its_key_by_its_receipt() -> None:
    """Spark on serverless compute takes none. A stream's receipts say nothing: it commits its key once it has ended."""
    commits = [
        keyed(4, key="day=1"),
        keyed(3, Left("files", after=1), key="day=2"),
        keyed(2, Left("kept"), key="day=3"),
    ]
    assert [write.key for write in KeyLog([], commits, None).standing()] == ["day=1"]


def test_of_keys_before_a_restore_that_does_not_say_to_where_nobody_can_tell() -> None:
    """Those after it are there."""
    told = KeyLog([], [keyed(4), restored(3, None), keyed(2)], None).told()
    assert ([write.key for write in told.standing], told.untold("")) == (["day=4"], {"day=2"})
    assert "version 3, and its log does not say to which" in told.why


@pytest.mark.parametrize(("to", "is_strange"), [(0, True), (1, False)])
def test_rows_of_before_the_keys_are_strange_where_a_restore_brought_them_back(to: int, is_strange: bool) -> None:
    """Version 0 has rows of another program, which has taken them away in version 1."""
    commits = [keyed(3), restored(2, to), Commit(1, 1, "TRUNCATE"), Commit(0, 0, "WRITE", {"mode": "Append"})]
    identifiers = [Identifier("dbxdec1||day=3|1/job/run-3/task/", 3, 3)]
    assert KeyLog(identifiers, commits, None).is_strange("") is is_strange
