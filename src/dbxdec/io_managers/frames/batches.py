"""Queries of Polars whose rows come batch by batch, and queries over batches that come from elsewhere."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

_AHEAD = 2
# Polars' own batches have some 100,000 rows. With these, wide tables need half the peak memory in the same time.
ROWS = 20_000
_LOOK_UP_S = 0.1


class Query:
    """A query that runs in a thread, a few batches ahead of its reader; `error` is what ended it early."""

    def __init__(self, frame: pl.LazyFrame, *, in_order: bool) -> None:
        self.error: BaseException | None = None
        self._frame, self._in_order = frame, in_order
        # None follows the last batch.
        self._queue: queue.Queue[pl.DataFrame | None] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        # A daemon: a query that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="dbxdec-query", daemon=True)

    def batches(self) -> Iterator[pl.DataFrame]:
        self._thread.start()
        while (batch := self._queue.get()) is not None:
            yield batch
        if self.error is not None:
            # Not the error itself: a panic would get lost in the reader as it does in the query.
            raise RuntimeError("the query has failed")

    def stop(self) -> None:
        """End the query if it still runs, and wait for it."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._frame.sink_batches(self._put, chunk_size=ROWS, maintain_order=self._in_order, engine="streaming")
        except BaseException as error:  # noqa: BLE001 - may be a panic of Polars; the reader raises it
            self.error = error
        self._put(None)

    def _put(self, batch: pl.DataFrame | None) -> bool:
        """Hand over a batch; return whether the query may stop."""
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._queue.put(batch, timeout=_LOOK_UP_S)
                return False
        return True


def of(frame: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Yield the rows of a query in their order, while it runs. Raises the query's own error."""
    query = Query(frame, in_order=True)
    try:
        yield from query.batches()
    except RuntimeError:
        if query.error is None:
            raise
        raise query.error from None
    finally:
        query.stop()


def lazily(schema: pl.Schema, run: Callable[[], Iterator[pl.DataFrame]]) -> pl.LazyFrame:
    """Return a LazyFrame of the rows that `run` yields; it is called each time that the frame is run."""
    from polars.io.plugins import register_io_source

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        for batch in run():
            found = batch if predicate is None else batch.filter(predicate)
            found = found if columns is None else found[columns]
            if rows is not None:
                found = found.head(rows)
                rows -= found.height
            yield found
            if rows == 0:
                return

    return register_io_source(source, schema=schema)
