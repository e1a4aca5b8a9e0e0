"""The cost of a long history for a reader: one append among many others, over the same rows in a table of their own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import frames
import storage
from measure import Budget, Pair, paired

from dbxdec.io_managers import PolarsDeltaIoManager
from delta_tools import output, receipt, wanted

EARLIER = 1_000
_BUDGET = Budget("ratio", 1.2)


def results(folder: Path) -> Iterator[Pair]:
    """The rows that one run appended, read by its run, in a table of `EARLIER` earlier commits."""
    io = PolarsDeltaIoManager("unused", mode="append")
    table = folder / "long"
    for run in range(EARLIER):
        io.write(output(table, receipt(str(run))), frames.whole(10))
    for rows in storage.sizes():
        data, own = frames.whole(rows), folder / f"own-{rows}"
        for place in (table, own):
            io.write(output(place, receipt(f"run {rows}")), data)
        ours, yardstick = (partial(io.read, wanted(place, receipt(f"run {rows}"))) for place in (table, own))
        name = f"read one of {EARLIER:,} appends, {frames.named(rows)}"
        yield paired(name, "the same rows in a table of their own", _BUDGET, ours, yardstick, 15)
