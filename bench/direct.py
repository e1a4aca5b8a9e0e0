"""The same as `managed.py`, with the calls that an author without an IoManager writes: one pass, partitions known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import frames
import polars as pl

# Whoever overwrites partitions with delta-rs has to say which.
PREDICATES = {
    "part": f"part IN ({', '.join(map(str, range(frames.PARTS)))})",
    "l_returnflag": "l_returnflag IN ('A', 'N', 'R')",
}


def store(frame: pl.DataFrame | pl.LazyFrame, target: str, partition: str | None = None) -> None:
    options: dict[str, Any] = {}
    if partition is not None:
        options = {"partition_by": [partition], "predicate": PREDICATES[partition]}
    if isinstance(frame, pl.LazyFrame):
        frame.sink_delta(target, mode="overwrite", delta_write_options=options)
    else:
        frame.write_delta(target, mode="overwrite", delta_write_options=options)


def load(target: str) -> pl.DataFrame:
    return pl.read_delta(target)


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
    store(frames.priced(pl.scan_delta(source)), target, partition)
