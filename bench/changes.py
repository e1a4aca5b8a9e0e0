"""The cost for a reader of what is new: with a long history of the source, and in memory with a long backlog."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

import frames
from measure import Budget, Line, Pair, paired, peak_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import polars as pl
from deltalake import DeltaTable

from consumers import Consumer, run
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import InputContext
from dbxdec.io_managers.positions import Span
from dbxdec.model.changes import Changes

COMMITS, ROWS = 10_000, 1_000
_MILLION = 1_000_000
_ROUNDS = 3
_READ = Budget("ratio", 1.5)
_FLAT = 1.25
_io = PolarsDeltaIoManager("unused", mode="append")


def read(folder: Path) -> Iterator[Pair | Line]:
    """The newest of many appends, over the same rows in a table of their own; then a backlog of ten times the rows."""
    own, table = folder / "own", folder / "long"
    frames.whole(ROWS).write_delta(str(own))
    _long(table)
    name = f"read what is new: {ROWS:,} rows, {COMMITS:,} commits"
    yield paired(name, "the same rows in a table of their own", _READ, partial(_new, table), partial(_whole, own), 21)
    # Polars reads some files and row groups ahead. One file of the first backlog is less than these, so that its row
    # shows how they fill; from the second base on they are full.
    for files, rows in ((1, _MILLION), (10, 10 * _MILLION), (16, _MILLION)):
        yield _backlog(folder / "backlog", files, rows)


def _new(table: Path) -> pl.DataFrame:
    context = InputContext(str(table), "rows", pl.DataFrame, changes=Changes())
    head = _io.head(context)
    assert head is not None
    span = Span(head.id, head.version - 1, head.version, opened=head.opened)
    found = _io.read(InputContext(str(table), "rows", pl.DataFrame, changes=Changes(), span=span))
    assert isinstance(found, pl.DataFrame)
    assert found.height == ROWS
    return found


def _whole(table: Path) -> object:
    return _io.read(InputContext(str(table), "rows", pl.DataFrame))


def _long(table: Path) -> None:
    """A table of many appends. Its files are names of one: what is in them does not matter to a log."""
    frames.whole(ROWS).write_delta(str(table))
    (file,) = table.glob("*.parquet")
    lines = (table / "_delta_log" / f"{0:020}.json").read_text(encoding="utf-8").splitlines()
    add = next(json.loads(line)["add"] for line in lines if line.startswith('{"add"'))
    for version in range(1, COMMITS):
        path = f"part-{version:05}.parquet"
        os.link(file, table / path)
        info = {"commitInfo": {"timestamp": time.time_ns() // 1_000_000, "operation": "WRITE"}}
        commit = "\n".join(map(json.dumps, ({"add": {**add, "path": path}}, info)))
        (table / "_delta_log" / f"{version:020}.json").write_text(commit, encoding="utf-8")
        if version == COMMITS - 10:
            DeltaTable(str(table)).create_checkpoint()


def _backlog(folder: Path, files: int, rows: int) -> Line:
    """The peak of a run that appends ten times as many new rows, over that of a run with once as many.

    Beside it stands the growth of the plain call, which reads and appends the same rows. The tables are made by this
    process: what making them takes would hide what reading them takes.
    """
    peaks: dict[str, list[float]] = {"consume": [], "plainly": []}
    for parts in (files, 10 * files):
        _landed(folder, rows // files, parts)
        for function, found in peaks.items():
            found.append(median(_peak(folder, function) for _ in range(_ROUNDS)))
        shutil.rmtree(folder)
    ratio, plain = (after / before for before, after in peaks.values())
    said = f"flat (<= {_FLAT}x)"
    name = f"peak: {rows / _MILLION:g} M rows in {files} file{'s'[: files > 1]} -> ten times"
    before, after = peaks["consume"]
    text = f"{name:<47} {ratio:6.2f}x ({before:,.0f} -> {after:,.0f} MB); without us {plain:.2f}x; budget {said}"
    return Line(f"{text}: kept") if ratio <= _FLAT else Line(f"{text}: MISSED", f"{name}: {ratio:.2f}x, budget {said}")


def _landed(folder: Path, rows: int, parts: int) -> None:
    """Tables that a consumer has read once, with `parts` commits after that, and others for the plain call."""
    for function in ("consume", "plainly"):
        source = folder / function / "source"
        frames.part(0, 10).write_delta(str(source))
        run(_consumer(folder / function), "first")
        for number in range(parts):
            frames.part(number * rows, (number + 1) * rows).write_delta(str(source), mode="append")


def _peak(folder: Path, function: str) -> float:
    """The peak of one run over a copy of its tables, in MB."""
    place = folder / "copy"
    shutil.copytree(folder / function, place, copy_function=os.link)
    try:
        return peak_of("changes", function, str(place)).peak
    finally:
        shutil.rmtree(place)


def _consumer(place: Path) -> Consumer:
    return Consumer({"result": (_io, place / "target")}, {"source": (_io, place / "source")})


def consume(place: str) -> Iterator[None]:
    """A run that appends what the commits of the source have added since the run before."""
    yield
    run(_consumer(Path(place)), "second")


def plainly(place: str) -> Iterator[None]:
    """The same rows read and appended by Polars alone, which has no notion of what is new."""
    yield
    pl.scan_delta(f"{place}/source").sink_delta(f"{place}/target", mode="append")
