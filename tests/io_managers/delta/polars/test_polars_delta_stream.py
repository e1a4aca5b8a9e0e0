"""What becomes of a write whose query fails while it runs."""

from __future__ import annotations

import threading
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.delta.polars.stream import whole_or_nothing
from delta_tools import frame, output, receipt, stored

ROWS = 1_000_000


def failing(error: BaseException) -> pl.LazyFrame:
    """A query that gives rows for a while, and then fails."""
    seen = []

    def pass_some(data: pl.DataFrame) -> pl.DataFrame:
        seen.append(data.height)
        if sum(seen) > ROWS // 2:
            raise error
        return data

    return pl.LazyFrame({"x": range(ROWS)}).map_batches(pass_some, streamable=True)


@pytest.mark.parametrize("error", [pl.exceptions.PanicException("a thread panicked"), ValueError("bad row")], ids=type)
@pytest.mark.parametrize("partition_by", [None, "part"])
@pytest.mark.parametrize("there", [False, True], ids=["new", "existing"])
def test_a_query_that_fails_writes_nothing_and_its_own_error_is_raised(
    tmp_path: Path, error: BaseException, partition_by: str | None, there: bool
) -> None:
    """Rows that came before a failure, a panic of Polars' threads included, are never committed."""
    table = tmp_path / "table"
    manager = PolarsDeltaIoManager("unused", mode="overwrite", partition_by=partition_by)
    part = pl.lit(1, pl.Int32).alias("part")
    if there:
        manager.write(output(table, receipt("1")), frame(7).with_columns(part))
    with pytest.raises(type(error), match=str(error)):
        manager.write(output(table, receipt("2")), failing(error).with_columns(part))
    if there:
        assert stored(table) == [7]
    else:
        assert not DeltaTable.is_deltatable(str(table))


def no_space(_: pl.DataFrame) -> None:
    raise OSError("no space")


def test_a_reader_that_stops_ends_the_query() -> None:
    """No query goes on behind a write that has failed for reasons of its own."""
    query = pl.LazyFrame({"x": range(ROWS)})
    with pytest.raises(OSError, match="no space"), whole_or_nothing(query) as rows:
        rows.sink_batches(no_space, chunk_size=100)
    assert "dbxdec-query" not in {thread.name for thread in threading.enumerate()}


def test_all_rows_arrive() -> None:
    """A query that ends well gives each row once."""
    with whole_or_nothing(pl.LazyFrame({"x": range(ROWS)})) as rows:
        assert rows.collect(engine="streaming")["x"].sort().to_list() == list(range(ROWS))
