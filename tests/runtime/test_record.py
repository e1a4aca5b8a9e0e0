"""What the log says of reads and writes."""

from __future__ import annotations

import logging

import pytest

from dbxdec import WriteResult
from dbxdec.runtime import record


@pytest.mark.parametrize(("rows", "said"), [(0, "0 rows"), (1, "1 row"), (1234, "1,234 rows")])
def test_a_write_says_how_many_rows_it_has(caplog: pytest.LogCaptureFixture, rows: int, said: str) -> None:
    """One row is not "1 rows"."""
    caplog.set_level(logging.INFO, "dbxdec")
    record.note("write", "load", "lake/t", WriteResult(version=3, rows=rows), None, 0.5)
    assert caplog.messages == [f"write load: lake/t, version 3, {said} (0.50 s)"]
