"""A repair over another lock: a write that is there already says so, and so does a read of what the run wrote."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager, PolarsParquetIoManager
from dbxdec.io_managers.contexts import InputContext, OutputContext, Receipt, WriteId
from dbxdec.io_managers.running import has_asked, running

OLD = Receipt(WriteId("1", "daily", "7", "load"), 1, "b" * 64, "p", lock="0123456789ab")
MANAGERS = [PolarsDeltaIoManager, PolarsParquetIoManager]


@pytest.mark.parametrize(("manager", "mode"), [(PolarsDeltaIoManager, "append"), (PolarsParquetIoManager, "error")])
def test_a_write_over_another_lock_is_refused_in_those_words(manager: Any, mode: str, tmp_path: Path) -> None:
    """A repair with another build says whether its packages are others too; an equal lock is not mentioned."""
    io = manager(str(tmp_path), mode=mode)
    uri = str(tmp_path / "orders")
    io.write(OutputContext(uri, OLD), pl.DataFrame({"x": [1]}))
    said = r"has already written .* with another build, whose lock has other versions of packages$"
    for lock in ("ba9876543210", ""):
        with pytest.raises(RunError) as error:
            io.write(OutputContext(uri, replace(OLD, build="c" * 64, lock=lock)), pl.DataFrame({"x": [2]}))
        assert re.search(said, error.value.problems[0].message)
    with pytest.raises(RunError) as error:
        io.write(OutputContext(uri, replace(OLD, build="c" * 64)), pl.DataFrame({"x": [2]}))
    assert error.value.problems[0].message.endswith("with another build")


def test_the_place_of_a_refused_write_is_named_as_it_is_on_the_disk(tmp_path: Path) -> None:
    """delta-rs has it as a URI, in which a space is %20."""
    io = PolarsDeltaIoManager(str(tmp_path), mode="append", constraints={"few": "x < 9"})
    uri = str(tmp_path / "Läden & Co")
    io.write(OutputContext(uri, OLD), pl.DataFrame({"x": [1]}))
    with pytest.raises(RunError) as error:
        io.write(OutputContext(uri, replace(OLD, build="c" * 64)), pl.DataFrame({"x": [2]}))
    assert f" {uri} (version " in error.value.problems[0].message
    io = PolarsDeltaIoManager(str(tmp_path), mode="append", constraints={"few": "x < 1"})
    with pytest.raises(RunError, match=f"rows of {uri} do not meet"):
        io.write(OutputContext(uri, replace(OLD, id=replace(OLD.id, run="8"))), pl.DataFrame({"x": [0]}))


@pytest.mark.parametrize("manager", MANAGERS)
@pytest.mark.parametrize(
    ("lock", "note"),
    [
        ("0123456789ab", ""),
        ("ba9876543210", "written in this run with another lock, so with other versions of packages"),
    ],
)
def test_a_read_of_what_another_lock_wrote_says_so(manager: Any, lock: str, note: str, tmp_path: Path) -> None:
    """The line of the read has a note, and the rows are those of the run."""
    io = manager(str(tmp_path), mode="overwrite")
    uri = str(tmp_path / "orders")
    io.write(OutputContext(uri, OLD), pl.DataFrame({"x": [1]}))
    context = InputContext(uri, "orders", pl.DataFrame, OLD.id)
    own = replace(OLD, id=replace(OLD.id, task="report"), build="c" * 64, lock=lock)
    with running(own):
        frame = io.read(context)
        assert not has_asked("")  # the task's own code has asked for nothing
    assert frame["x"].to_list() == [1]
    assert context.facts.note == note


def test_a_receipt_without_a_lock_is_as_it_was() -> None:
    """Builds without a lock write the same receipts, and read those of both kinds."""
    plain = replace(OLD, lock="")
    assert '"lock"' not in plain.to_metadata()
    for receipt in (OLD, plain):
        assert Receipt.from_metadata(receipt.to_metadata(kind="whole")) == (receipt, {"kind": "whole"})
