"""What IoManagers cost over the direct calls of polars and deltalake, in time and memory, and with data that grows."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from measure import Pair, in_child, paired

import crash
from dbxdec.io_managers import PolarsDeltaIoManager
from delta_tools import output, receipt, wanted

_runs = itertools.count()
_ROWS = ("3.6 M", "36 M")


def data(rows: int) -> pl.DataFrame:
    return pl.select(
        id=pl.int_range(rows),
        x=pl.int_range(rows).cast(pl.Float64).sin(),
        text=pl.int_range(rows).mod(997).cast(pl.String),
    )


def write(rows: int, target: str) -> None:
    PolarsDeltaIoManager("unused", mode="overwrite").write(output(Path(target), receipt(str(next(_runs)))), data(rows))


def write_directly(rows: int, target: str) -> None:
    data(rows).write_delta(target, mode="overwrite")


def read(target: str) -> None:
    PolarsDeltaIoManager("unused").read(wanted(Path(target)))


def read_directly(target: str) -> None:
    pl.read_delta(target)


def times(folder: Path) -> Iterator[Pair]:
    """Seconds of a write and a read, in one process."""
    for rows in (1_000_000, 10_000_000):
        ours, direct, name = folder / "ours", folder / "direct", f"{rows / 1e6:g} M rows"
        frame, io = data(rows), PolarsDeltaIoManager("unused", mode="overwrite")
        yield paired(
            f"write {name}",
            "write_delta",
            "<= 1.03x",
            lambda: io.write(output(ours, receipt(str(next(_runs)))), frame),  # noqa: B023 - called before the next
            lambda: frame.write_delta(direct, mode="overwrite"),  # noqa: B023
            7,
        )
        yield paired(
            f"read {name}",
            "read_delta",
            "<= 1.03x",
            lambda: io.read(wanted(ours)),  # noqa: B023
            lambda: pl.read_delta(str(direct)),  # noqa: B023
            9,
        )
        shutil.rmtree(ours)
        shutil.rmtree(direct)


def memory(folder: Path) -> Iterator[Pair]:
    """Peak memory of a write and a read of 10 M rows, each in a process of its own."""
    rows, ours, direct = 10_000_000, str(folder / "ours"), str(folder / "direct")
    for name, over, given in (("write", "write_delta", [rows]), ("read", "read_delta", [])):
        peaks: tuple[list[float], list[float]] = ([], [])
        for _ in range(3):
            peaks[0].append(in_child("storage", name, [*given, ours])["whole"])
            peaks[1].append(in_child("storage", f"{name}_directly", [*given, direct])["whole"])
        yield Pair(f"peak memory: {name} 10 M rows", over, "<= 1.05x", tuple(peaks[0]), tuple(peaks[1]), "MB")


def pass_on(source: str, target: str, partition: str | None) -> None:
    """A task that takes a LazyFrame and returns one."""
    io = PolarsDeltaIoManager("unused", mode="overwrite", partition_by=partition)
    frame = pl.scan_parquet(source).with_columns(total=pl.col("l_extendedprice") * (1 - pl.col("l_discount")))
    io.write(output(Path(target), receipt(str(next(_runs)))), frame)


def growth(folder: Path) -> Iterator[str]:
    """Peak memory of LazyFrame in, LazyFrame out, while TPC-H's lineitem grows ten times."""
    sources = {}
    for scale in ("0.6", "6"):
        place = folder / f"tpch-{scale}"
        generator = str(Path(sys.executable).with_name("tpchgen-cli"))
        command = [generator, "parquet", "-s", scale, "--tables=lineitem", "--output-dir", str(place)]
        subprocess.run(command, check=True, capture_output=True)
        sources[scale] = str(next(place.rglob("*.parquet")))
    for partition in (None, "l_returnflag"):
        small, large = (
            in_child("storage", "pass_on", [source, str(folder / f"{partition}-{scale}"), partition])["peak"]
            for scale, source in sources.items()
        )
        layout = f"partitioned by {partition}" if partition else "not partitioned"
        yield (
            f"LazyFrame in and out, {layout}: peak +{small:.0f} MB with {_ROWS[0]} rows, +{large:.0f} MB with "
            f"{_ROWS[1]}: {large / small:.2f}x; flat is 1x, the data 10x"
        )


def kills(folder: Path) -> Iterator[str]:
    """KILLS writers (200 unless said), killed at any instant and retried: rows are counted."""
    wanted_kills = int(os.environ.get("KILLS", "200"))
    for kind in crash.KINDS:
        began = time.perf_counter()
        table = folder / kind
        ordeal = crash.endure(kind, table, wanted_kills // len(crash.KINDS), seed=int(began))
        rows = sorted(pl.read_delta(str(table)).rows())
        verdict = "each run once" if rows == crash.expected(kind, ordeal.runs) else "WRONG ROWS"
        yield (
            f"{kind}: {ordeal.kills} kills over {ordeal.runs} runs in {time.perf_counter() - began:.0f} s: {verdict}"
        )
