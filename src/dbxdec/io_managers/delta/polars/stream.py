"""A LazyFrame that is written only as a whole: rows of a query that fails are never taken for all of them.

`LazyFrame.sink_delta` treats a query whose thread panics as finished, and commits the rows that came before (Polars
2.1). `sink_batches` raises. So the query runs through `sink_batches`, in a thread of its own. The writer gets a source
of its batches, which fails when the query fails.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbxdec.io_managers.frames.batches import Query

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl


@contextmanager
def whole_or_nothing(frame: pl.LazyFrame) -> Iterator[pl.LazyFrame]:
    """Yield `frame`, to be run once inside the block.

    If the query fails, the block raises the query's own error, whatever its reader makes of it.
    """
    from polars.io.plugins import register_io_source

    query = Query(frame, in_order=False)
    try:
        yield register_io_source(lambda *_: query.batches(), schema=frame.collect_schema())
    except BaseException:
        if query.error is not None:
            raise query.error from None
        raise
    finally:
        query.stop()
