"""What has taken keys away from a table: how much of a log tells it, and which writes only receipts tell of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dbxdec.io_managers.delta.epochs import needed
from dbxdec.io_managers.delta.key_log import KeyLog
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
