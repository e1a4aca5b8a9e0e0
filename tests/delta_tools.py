"""Contexts and receipts by hand, as the runtime makes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from dbxdec.io_managers.contexts import InputContext, OutputContext, Receipt, WriteId

RECEIPT = Receipt(WriteId("1", "job", "77", "task"), attempt=1, build="b" * 64, parameters="p")


def receipt(run: str = "77", *, task: str = "task", attempt: int = 1, output: str = "", **changes: Any) -> Receipt:
    """The receipt of one attempt of a task of a run."""
    return replace(RECEIPT, id=replace(RECEIPT.id, run=run, task=task, output=output), attempt=attempt, **changes)


def output(
    path: Path, given: Receipt = RECEIPT, returns: tuple[str, ...] | None = ("polars.DataFrame",)
) -> OutputContext:
    """What a write to `path` is told."""
    return OutputContext(str(path), given, returns)


def wanted(path: Path, producer: Receipt | None = None, annotation: Any = pl.DataFrame) -> InputContext:
    """What a read of `path` is asked for."""
    return InputContext(str(path), "frame", annotation, producer.id if producer else None)


def frame(*values: int) -> pl.DataFrame:
    """A frame with one column."""
    return pl.DataFrame({"x": values}, schema={"x": pl.Int64})


def stored(path: Path) -> list[int]:
    """The column of the table at `path`, sorted."""
    return sorted(pl.read_delta(str(path))["x"].to_list())
