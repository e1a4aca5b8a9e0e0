"""What a task commits itself with `io.commit_properties()`, beside what its IoManager commits for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deltalake.table import TableMerger

from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import Receipt
from dbxdec.io_managers.running import running
from delta_tools import frame, output, receipt, stored, wanted


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table"


def append_itself(io: PolarsDeltaIoManager, table: Path, value: int) -> None:
    """A write that a task's own code makes and executes."""
    options = {"commit_properties": io.commit_properties()}
    frame(value).write_delta(str(table), mode="append", delta_write_options=options)


def merger(io: PolarsDeltaIoManager, table: Path, value: int) -> TableMerger:
    """A merge that a task makes and returns."""
    options: dict[str, Any] = {"predicate": "s.x = t.x", "source_alias": "s", "target_alias": "t"}
    options["commit_properties"] = io.commit_properties()
    made = frame(value).write_delta(str(table), mode="merge", delta_merge_options=options)
    assert made is not None
    return made.when_not_matched_insert_all()


def named(given: Receipt, name: str) -> Receipt:
    return receipt(given.id.run, attempt=given.attempt, output=name)


def test_what_a_task_returns_is_stored_beside_what_it_has_committed_itself(table: Path) -> None:
    """The commit of the task's own is not taken for that of its result, in a retry neither."""
    io = PolarsDeltaIoManager("unused", mode="append")
    with running(receipt()):
        append_itself(io, table, 1)
        io.write(output(table), frame(2))
    assert stored(table) == [1, 2]
    again = io.write(output(table, receipt(attempt=2)), frame(2))
    assert again.note == "already written by attempt 1"
    assert stored(table) == [1, 2]


def test_a_result_that_an_earlier_attempt_did_not_come_to_is_stored(table: Path) -> None:
    """A kill between the task's own commit and that of its result loses nothing."""
    io = PolarsDeltaIoManager("unused", mode="append")
    with running(receipt()):
        append_itself(io, table, 1)
    io.write(output(table, receipt(attempt=2)), frame(2))
    assert stored(table) == [1, 2]
    assert io.read(wanted(table, receipt())).lazy().collect()["x"].to_list() == [2]


def test_merges_of_two_named_outputs_are_told_apart(table: Path) -> None:
    """Two outputs that merge into one table both do, each once."""
    frame(0).write_delta(str(table))
    one, other = (PolarsDeltaIoManager(str(table.parent)).table(table.name, shared=True) for _ in range(2))
    outputs = {"one": one, "other": other}
    for attempt in (1, 2):
        for value, (name, io) in enumerate(outputs.items(), 1):
            with running(receipt(attempt=attempt), outputs):
                made = merger(io, table, value)
                result = io.write(output(table, named(receipt(attempt=attempt), name)), made)
            assert result is not None
            assert result.note == ("merged" if attempt == 1 else "already written by attempt 1")
    assert stored(table) == [0, 1, 2]
