"""A LazyFrame that is written only as a whole: rows of a query that fails are never taken for all of them.

`LazyFrame.sink_delta` treats a query whose thread panics as finished, and commits the rows that came before (Polars
2.1). `sink_batches` raises. So the query runs through `sink_batches`, in a thread of its own. The writer gets a source
of its batches, which fails when the query fails.
"""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

_BATCHES_AHEAD = 2
# Polars' own batches have some 100,000 rows. With these, wide tables need half the peak memory in the same time.
_BATCH_ROWS = 20_000
_LOOK_UP_S = 0.1


@contextmanager
def whole_or_nothing(frame: pl.LazyFrame) -> Iterator[pl.LazyFrame]:
    """Yield `frame`, to be run once inside the block.

    If the query fails, the block raises the query's own error, whatever its reader makes of it.
    """
    from polars.io.plugins import register_io_source

    query = _Query(frame)
    try:
        yield register_io_source(lambda *_: query.batches(), schema=frame.collect_schema())
    except BaseException:
        if query.error is not None:
            raise query.error from None
        raise
    finally:
        query.stop()


class _Query:
    """A query that runs in a thread, a few batches ahead of its reader; `error` is what ended it early."""

    def __init__(self, frame: pl.LazyFrame) -> None:
        self.error: BaseException | None = None
        self._frame = frame
        # None follows the last batch.
        self._queue: queue.Queue[pl.DataFrame | None] = queue.Queue(_BATCHES_AHEAD)
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
            self._frame.sink_batches(self._put, chunk_size=_BATCH_ROWS, maintain_order=False, engine="streaming")
        except BaseException as error:  # noqa: BLE001 - may be a panic of Polars; the write raises it
            self.error = error
        self._put(None)

    def _put(self, batch: pl.DataFrame | None) -> bool:
        """Hand over a batch; return whether the query may stop."""
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._queue.put(batch, timeout=_LOOK_UP_S)
                return False
        return True
