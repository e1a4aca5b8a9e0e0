"""No kill loses or doubles a row: writers die at any instant, are retried, and the table holds each run once."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest

import crash
from thorough import examples

# `make bench ONLY=crash` takes any number.
ALL = {"append": 60, "merge": 50, "overwrite": 30, "partitions": 30, "replace": 30, "news": 40}
KILLS = {kind: examples(count) for kind, count in ALL.items()}


@pytest.mark.skipif(sys.platform == "win32", reason="writers are forked")
@pytest.mark.parametrize("kind", crash.KINDS)
@pytest.mark.sampled(2)
def test_killed_writers_leave_each_run_once(tmp_path: Path, kind: str) -> None:
    """After the retries the table has exactly the rows of all runs, whatever died on the way."""
    ordeal = crash.endure(kind, tmp_path / "table", KILLS[kind], seed=len(kind))
    assert ordeal.kills >= KILLS[kind]
    rows = sorted(pl.read_delta(str(tmp_path / "table")).rows())
    assert rows == crash.expected(kind, ordeal.runs)


@pytest.mark.sampled(1)
@pytest.mark.skipif(sys.platform == "win32", reason="writers are forked")
@pytest.mark.parametrize("kind", ["append", "merge"])
def test_twenty_writers_at_once_lose_and_double_nothing(tmp_path: Path, kind: str) -> None:
    """Twenty processes that write one table at the same moment, which the first of them makes: each run once."""
    with crash.Template() as template:
        template.together(kind, tmp_path / "table", list(range(20)))
    assert sorted(pl.read_delta(str(tmp_path / "table")).rows()) == crash.expected(kind, 19)
