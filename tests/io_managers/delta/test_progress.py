"""How far a task has read what is new, by the commits of the table that it writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbxdec.io_managers.delta.progress import Consumer, search
from dbxdec.io_managers.delta.receipts import Commit
from dbxdec.io_managers.positions import Progress, Span
from delta_tools import receipt

TASK = Consumer("project", "job", "task", "return")


def stated(version: int, until: int) -> Commit:
    """A commit that says up to where the task has read."""
    read = Progress(TASK.base, 0, version, {"new": Span("source", None, until)}, version - 1)
    return Commit(version, version, "WRITE", metadata=replace(receipt(), progress=read).to_metadata(kind="files"))


@pytest.mark.parametrize("operation", ["CLONE", "CREATE OR REPLACE TABLE AS SELECT", "REPLACE TABLE"])
def test_a_table_that_is_made_of_other_rows_has_no_position(operation: str) -> None:
    """As one that is brought back from a clone of it: nobody knows how far its rows had been read."""
    commits = [stated(1, until=5), stated(2, until=9)]
    assert search(reversed(commits), TASK, receipt(run="2").id, "lake/t").cursor is not None
    found = search([Commit(3, 3, operation), *reversed(commits)], TASK, receipt(run="2").id, "lake/t")
    assert (found.cursor, found.epoch, found.is_whole) == (None, 3, True)
