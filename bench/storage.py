"""The cost of IoManagers over the direct calls of polars and deltalake, in time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import direct
import frames
import managed
import polars as pl
from measure import Budget, Pair, paired

SIZES = (1_000_000, 10_000_000)
_BUDGET = Budget("ratio", 1.03)


def sizes() -> tuple[int, ...]:
    """Rows, as the environment says or 1 M and 10 M."""
    given = os.environ.get("ROWS", "").split()
    return tuple(map(int, given)) or SIZES


def times(folder: Path) -> Iterator[Pair]:
    """Writes and reads in one process, of DataFrames and LazyFrames, plain and overwriting partitions."""
    for rows in sizes():
        eager, lazy = frames.whole(rows), pl.scan_parquet(frames.parquet(rows, folder))
        n = 15 if rows < 5_000_000 else 7
        for what, frame in (("DataFrame", eager), ("LazyFrame", lazy)):
            for partition, kind in ((None, ""), ("part", ", partitions")):
                over = "sink_delta" if frame is lazy else "write_delta"
                store = partial(_store, folder, frame, partition)
                yield paired(
                    f"write a {what}{kind}, {frames.named(rows)}",
                    over if partition is None else f"{over} with a predicate",
                    _BUDGET,
                    partial(store, managed.store),
                    partial(store, direct.store),
                    n,
                )
                if frame is eager and partition is None:
                    yield from _read(folder, rows, n)
                _clean(folder)
        del eager


def _read(folder: Path, rows: int, n: int) -> Iterator[Pair]:
    """All read one table: the newest version, and the one that a run has written."""
    table = str(folder / "managed")
    run = managed.newest()
    for what, read in (
        ("read a DataFrame", managed.load),
        ("read a run's own DataFrame", partial(managed.load, run=run)),
    ):
        ours = partial(read, table)
        yield paired(
            f"{what}, {frames.named(rows)}", "read_delta", _BUDGET, ours, lambda: direct.load(table), 2 * n + 1
        )


def _store(folder: Path, frame: pl.DataFrame | pl.LazyFrame, partition: str | None, store: Callable[..., Any]) -> None:
    store(frame, str(folder / store.__module__), partition)


def _clean(folder: Path) -> None:
    for name in ("managed", "direct"):
        shutil.rmtree(folder / name)
