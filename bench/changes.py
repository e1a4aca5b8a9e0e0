"""What a reader of what is new pays: for a long history of the source, and in memory for a long backlog."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

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
    # One file is less than what Polars reads ahead, whose share counts as growth there.
    yield _backlog(folder, 1)
    yield _backlog(folder, 16)


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


def _backlog(folder: Path, files: int) -> Line:
    """The peak of a run that appends ten times as many new rows, over that of a run with once as many.

    Beside it stands the growth of the plain call, which reads and appends the same rows.
    """
    rows = int(os.environ.get("ROWS", "1000000").split()[0])
    rises, texts = {}, []
    for function in ("consume", "plainly"):
        peaks = []
        for parts in (files, 10 * files):
            place = folder / "backlog"
            peaks.append(peak_of("changes", function, str(place), rows // files, parts).peak)
            shutil.rmtree(place)
        rises[function] = peaks[1] / peaks[0]
        texts.append(f"{peaks[0]:,.0f} -> {peaks[1]:,.0f} MB")
    ratio, plain = rises["consume"], rises["plainly"]
    said = f"flat (<= {_FLAT}x)"
    name = f"peak: {rows:,} rows in {files} files -> ten times"
    text = f"{name:<47} {ratio:6.2f}x ({texts[0]}); without us {plain:.2f}x ({texts[1]}); budget {said}"
    return Line(f"{text}: kept") if ratio <= _FLAT else Line(f"{text}: MISSED", f"{name}: {ratio:.2f}x, budget {said}")


def consume(place: str, rows: int, parts: int) -> Iterator[None]:
    """A run that appends what `parts` commits of the source have added since the run before."""
    source, target = Path(place, "source"), Path(place, "target")
    consumer = Consumer({"result": (_io, target)}, {"source": (_io, source)})
    frames.part(0, 10).write_delta(str(source))
    run(consumer, "first")
    _append(source, rows, parts)
    yield
    run(consumer, "second")


def plainly(place: str, rows: int, parts: int) -> Iterator[None]:
    """The same rows read and appended by Polars alone, which has no notion of what is new."""
    source, target = str(Path(place, "source")), str(Path(place, "target"))
    for table in (source, target):
        frames.part(0, 10).write_delta(table)
    _append(Path(source), rows, parts)
    yield
    pl.scan_delta(source).sink_delta(target, mode="append")


def _append(source: Path, rows: int, parts: int) -> None:
    for number in range(parts):
        frames.part(number * rows, (number + 1) * rows).write_delta(str(source), mode="append")
