"""The work of a task through the IoManager. `direct.py` has the same functions with the calls of polars.

A generator prepares up to its first `yield`; what comes after it is what is measured.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import frames

from dbxdec.io_managers import PolarsDeltaIoManager
from delta_tools import output, receipt, wanted

_runs = frames.numbers()


def store(frame: pl.DataFrame | pl.LazyFrame, target: str, partition: str | None = None) -> None:
    """One write of one run, in the mode that replaces."""
    io = PolarsDeltaIoManager("unused", mode="overwrite", partition_by=partition)
    returned = "polars.LazyFrame" if isinstance(frame, pl.LazyFrame) else "polars.DataFrame"
    context = output(Path(target), receipt(next(_runs)), (returned,))
    io.preflight(context)
    io.write(context, frame)


def newest() -> str:
    """The run that has written last."""
    return str(int(next(_runs)) - 1)


def load(target: str, run: str | None = None) -> pl.DataFrame:
    """The newest version, or what `run` has written."""
    found: pl.DataFrame = PolarsDeltaIoManager("unused").read(
        wanted(Path(target), None if run is None else receipt(run))
    )
    return found


def load_lazily(target: str) -> pl.LazyFrame:
    found = PolarsDeltaIoManager("unused").read(wanted(Path(target), annotation=pl.LazyFrame))
    assert isinstance(found, pl.LazyFrame)
    return found


def write(rows: int, target: str, partition: str | None) -> Iterator[None]:
    frame = frames.whole(rows)
    yield
    store(frame, target, partition)


def write_lazily(source: str, target: str, partition: str | None) -> Iterator[None]:
    frame = pl.scan_parquet(source)
    yield
    store(frame, target, partition)


def read(target: str) -> Iterator[object]:
    yield None
    yield load(target)


def from_parquet(source: str, target: str, partition: str | None) -> Iterator[None]:
    frame = frames.priced(pl.scan_parquet(source))
    yield
    store(frame, target, partition)


def from_delta(source: str, target: str, partition: str | None) -> Iterator[None]:
    yield
    store(frames.priced(load_lazily(source)), target, partition)
