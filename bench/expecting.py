"""The cost of a table's expectations and contracts: a write with them over the same without, in time and in memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import dataframely as dy
import frames
import polars as pl
from measure import Budget, Pair, paired, peak_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from dbxdec import unique
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.model import contracts
from delta_tools import output, receipt

ROWS = 10_000_000
_ROUNDS, _PEAKS = 5, 3
_FAR = 0x9E3779B97F4A7C15 - 2**64
"""The odd factor that spreads numbers over all of 64 bits."""
_FIVE = {
    "id": "id >= 0",
    "text": "text IS NOT NULL",
    "x": "x BETWEEN -1 AND 1",
    "part": "part < 16",
    "short": "LENGTH(text) < 4",
}


class Numbers(dy.Schema):
    """A contract with as many rules."""

    id = dy.Int64(min=0)
    x = dy.Float64(min=-1, max=1)
    text = dy.String(max_length=3)
    part = dy.Int32(max=15)


_SOME: dict[str, dict[str, Any]] = {
    "none": {},
    "contract": {},
    "five": {"expect": _FIVE},
    "unique": {"expect_or_fail": {"one": unique("id")}},
    "drop": {"expect": _FIVE, "expect_or_drop": {"even": "id % 100 <> 0"}},
}
"""Options of the table, by the name that a process of its own is given."""
_runs = frames.numbers()


def expectations(folder: Path) -> Iterator[Pair]:
    """A LazyFrame from a file into a table that is there: five conditions, a key, rows that are dropped."""
    rows = int(os.environ.get("ROWS", str(ROWS)).split()[0])
    source, named = str(frames.parquet(rows, folder)), frames.named(rows)
    mixed, far = folder / "mixed.parquet", folder / "far.parquet"
    pl.read_parquet(source).sample(fraction=1, shuffle=True, seed=1).write_parquet(mixed)
    pl.scan_parquet(mixed).with_columns(pl.col("id") * _FAR).sink_parquet(far)
    over = "the same without"
    for name, what, given, budget in (
        ("five", "five conditions", source, Budget("ratio", 1.2)),
        ("unique", "unique", source, Budget("ratio", 1.4)),
        ("unique", "unique, rows in no order", str(mixed), Budget("ratio", 1.4)),
        ("unique", "unique, far apart in no order", str(far), Budget("ratio", 1.4)),
        ("drop", "five, and rows dropped", source, None),
        ("contract", "a contract of four columns", source, Budget("ratio", 1.5)),
    ):
        ours, plain = (partial(_store, folder, pl.scan_parquet(given), one) for one in (name, "none"))
        yield paired(f"expect: {what}, {named}", over, budget, ours, plain, _ROUNDS)
    for name, what, budget in (
        ("five", "five conditions", Budget("ratio", 1.05)),
        ("unique", "unique", None),
        ("contract", "a contract of four columns", Budget("ratio", 1.1)),
    ):
        yield _peak(f"peak: {what}, {named}", over, budget, folder, source, name)


def _peak(name: str, over: str, budget: Budget | None, folder: Path, source: str, options: str) -> Pair:
    found: dict[str, list[float]] = {options: [], "none": []}
    for _ in range(_PEAKS):
        for one, peaks in found.items():
            peaks.append(peak_of("expecting", "write", str(folder), source, one).peak)
    return Pair(name, over, budget, found[options], found["none"], "MB")


def write(folder: str, source: str, options: str) -> Iterator[None]:
    """One write in a process of its own."""
    frame = pl.scan_parquet(source)
    yield
    _store(Path(folder), frame, options)


def _store(folder: Path, frame: pl.LazyFrame, options: str) -> None:
    io = PolarsDeltaIoManager("unused", mode="overwrite", **_SOME[options])
    target = folder / f"table-{options}"
    context = output(target, receipt(next(_runs)), ("polars.LazyFrame",))
    if options == "contract":
        context = replace(context, contract=contracts.of_class(Numbers))
    io.preflight(context)
    io.write(context, frame)
