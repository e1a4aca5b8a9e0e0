"""Frames that are read more than once although their query runs once."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl


@contextmanager
def once_only(frame: pl.DataFrame | pl.LazyFrame) -> Iterator[pl.DataFrame | pl.LazyFrame]:
    """Yield `frame` so that it can be read repeatedly: a LazyFrame runs once, into local files next to the process.

    Running it twice would double the work, and collecting it could exceed the memory.
    """
    import polars as pl

    if not isinstance(frame, pl.LazyFrame):
        yield frame
        return
    # A query that fails may still be writing: what is left of it then must not take the place of its error.
    with tempfile.TemporaryDirectory(prefix="dbxdec-", ignore_cleanup_errors=True) as scratch:
        # Not Arrow's IPC, which takes memory in proportion to its size when it is read again.
        spill = Path(scratch, "spill.parquet")
        frame.sink_parquet(spill, compression="lz4", statistics=False)
        yield pl.scan_parquet(spill)
