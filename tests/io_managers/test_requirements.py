"""Libraries that are missing or too old are said by name, before a task does anything."""

from __future__ import annotations

import sys

import deltalake
import polars as pl
import pytest

from dbxdec.errors import RunError
from dbxdec.io_managers import PolarsDeltaIoManager, PolarsParquetIoManager


def test_what_is_installed_here_is_new_enough() -> None:
    """Nothing is said of the versions that this project is tested with."""
    PolarsDeltaIoManager("unused").setup()
    PolarsParquetIoManager("unused").setup()


def test_all_that_are_too_old_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with the version that is there, the one that is needed, and what to install."""
    monkeypatch.setattr(pl, "__version__", "1.9.0rc1")
    monkeypatch.setattr(deltalake, "__version__", "1.5.0")
    with pytest.raises(RunError) as refused:
        PolarsDeltaIoManager("unused").setup()
    text = str(refused.value)
    assert "polars 1.9.0rc1 is installed, but dbxdec needs 1." in text
    assert "deltalake 1.5.0 is installed" in text
    assert 'install "dbxdec[polars]"' in text


def test_one_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without deltalake is told so in one sentence."""
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(RunError, match="deltalake is not installed"):
        PolarsDeltaIoManager("unused").setup()
