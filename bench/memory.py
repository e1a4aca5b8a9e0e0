"""Peak memory, each time of a process of its own: over the direct calls, and while the data grows ten times."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import environments
import frames
from measure import Budget, Line, Pair, peak_of, quietly
from storage import sizes

_ROUNDS = 3
_FLAT = 1.25
_SEED = "seed.parquet"
_SOURCE_FILE = 16 * 1024 * 1024


def peaks(folder: Path) -> Iterator[Pair]:
    """The whole process's peak during a write or a read, over that with the direct call."""
    for rows in sizes():
        source = str(frames.parquet(rows, folder))
        named = frames.named(rows)
        yield _peak(f"peak: write a DataFrame, {named}", "write_delta", folder, "write", rows, None)
        yield _peak(f"peak: read a DataFrame, {named}", "read_delta", folder, "read")
        yield _peak(f"peak: write a DataFrame, partitions, {named}", "write_delta", folder, "write", rows, "part")
        yield _peak(f"peak: write a LazyFrame, {named}", "sink_delta", folder, "write_lazily", source, None)
        yield _peak(
            f"peak: write a LazyFrame, partitions, {named}", "sink_delta", folder, "write_lazily", source, "part"
        )


def _peak(name: str, over: str, folder: Path, function: str, *arguments: object) -> Pair:
    """`_ROUNDS` of each in turn; a write goes to a table that is there, made by a first one that does not count."""
    found: dict[str, list[float]] = {"managed": [], "direct": []}
    writes = function != "read"
    for i in range(_ROUNDS + writes):
        for module, peaks in found.items():
            target = str(folder / module)
            if writes:
                source, partition = arguments
                measured = peak_of(module, function, source, target, partition)
            else:
                measured = peak_of(module, function, target)
            if i or not writes:
                peaks.append(measured.peak)
    if not writes or arguments[-1] is not None or function == "write_lazily":
        for module in found:  # the next write makes another table
            shutil.rmtree(folder / module)
    return Pair(name, over, Budget("ratio", 1.05), found["managed"], found["direct"], "MB")


def growth(folder: Path) -> Iterator[Line]:
    """LazyFrame in, LazyFrame out: the peak with ten times the data over the peak with once, ours and without us."""
    import polars as pl

    small = float(os.environ.get("SCALE", "1"))
    sources = [_lineitem(folder, scale) for scale in (small, 10 * small)]
    tables = [str(folder / name) for name in ("small", "large")]
    for source, table in zip(sources, tables, strict=True):
        # Many small files: once the data is more than what Polars reads ahead, whose share would count as growth.
        pl.scan_parquet(source).sink_delta(table, delta_write_options={"target_file_size": _SOURCE_FILE})
    for what, function, inputs in (("Parquet", "from_parquet", sources), ("Delta", "from_delta", tables)):
        for partition in (None, "l_returnflag"):
            yield _growth(folder, what, function, inputs, partition)


def _growth(folder: Path, what: str, function: str, inputs: list[str], partition: str | None) -> Line:
    """One kind of task; it overwrites a table that is there, as every run but the first does."""
    import polars as pl

    rises, texts = {}, []
    for module in ("managed", "direct"):
        peaks = []
        for source in inputs:
            target = str(folder / "target")
            seed = frames.priced(pl.scan_parquet(folder / _SEED)).collect()
            seed.write_delta(target, delta_write_options={"partition_by": partition and [partition]})
            peaks.append(peak_of(module, function, source, target, partition).peak)
            shutil.rmtree(target)
        rises[module] = peaks[1] / peaks[0]
        texts.append(f"{peaks[0]:,.0f} -> {peaks[1]:,.0f} MB")
    name = f"peak: {what} -> Delta{', partitions' if partition else ''}, ten times the data"
    text = f"{name:<47} {rises['managed']:6.2f}x ({texts[0]}); without us {rises['direct']:.2f}x ({texts[1]})"
    if rises["managed"] <= _FLAT:
        return Line(f"{text}; budget flat (<= {_FLAT}x): kept")
    return Line(f"{text}; budget flat (<= {_FLAT}x): MISSED", f"{name}: {rises['managed']:.2f}x, budget <= {_FLAT}x")


def _lineitem(folder: Path, scale: float) -> str:
    place = folder / f"tpch-{scale}"
    generator = _generator(folder)
    quietly(generator, "parquet", "-s", f"{scale:g}", "--tables=lineitem", "--output-dir", place, cwd=folder)
    found = next(place.rglob("*.parquet"))
    if not (folder / _SEED).exists():
        import polars as pl

        pl.scan_parquet(found).head(10_000).sink_parquet(folder / _SEED)
    return str(found)


def _generator(folder: Path) -> Path:
    path = folder / "tools" / "bin" / "tpchgen-cli"
    return path if path.exists() else environments.tools(folder).with_name("tpchgen-cli")
