"""A task's function may change the working directory: relative places stay where they are."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from dbxdec import job, task
from dbxdec.io_managers import PolarsDeltaIoManager, PolarsParquetIoManager
from dbxdec.model import places
from dbxdec.testing import run_job
from running import dbxdec, define, empty

lake = PolarsDeltaIoManager("lake", mode="append")
files = PolarsParquetIoManager("lake", mode="overwrite")


@task(io_manager=files)
def first(elsewhere: str) -> pl.DataFrame:
    os.chdir(elsewhere)
    return pl.DataFrame({"a": [1, 2]})


@task(io_manager=lake)
def second(first: pl.LazyFrame, elsewhere: str) -> pl.DataFrame:
    os.chdir(elsewhere)
    return first.collect().with_columns(place=pl.lit(lake.uri("other")))


@task(io_manager=lake)
def third(second: pl.LazyFrame, elsewhere: str) -> pl.LazyFrame:
    os.chdir(elsewhere)
    return second


@job
def moving(elsewhere: str) -> None:
    third(second(first(elsewhere), elsewhere), elsewhere)


def test_results_are_stored_and_read_below_the_folder_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the function has gone nothing is written, and what it reads there is what upstream tasks stored."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    for folder in (home, elsewhere):
        folder.mkdir()
    monkeypatch.chdir(home)
    run_job(moving, in_memory=False, elsewhere=str(elsewhere))
    found = pl.read_delta(str(home / "lake/third")).sort("a")
    assert found.to_dict(as_series=False) == {"a": [1, 2], "place": [str(home / "lake/other")] * 2}
    assert list(elsewhere.iterdir()) == []
    assert places.here("lake/third") == "lake/third"


def test_only_relative_paths_are_below_the_folder_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of a catalog, remote and absolute places are what they are."""
    monkeypatch.delenv(places.ROOT, raising=False)
    with places.kept():
        assert places.here("lake/a") == "lake/a"
        folder = os.getcwd()
        monkeypatch.chdir(tmp_path)
        assert places.here("lake/a") == os.path.join(folder, "lake/a")
        for place in ("main.gold.a", "s3://bucket/a", "/lake/a", "file:///lake/a", ""):
            assert places.here(place) == place


def test_a_module_that_changes_the_working_directory_moves_no_table(tmp_path: Path) -> None:
    """Relative places are below the project's folder whatever a module does when it is imported."""
    project = empty(tmp_path.resolve() / "project")
    elsewhere = tmp_path.resolve() / "elsewhere"
    elsewhere.mkdir()
    define(
        project,
        f"""
os.chdir({str(elsewhere)!r})
near = PolarsDeltaIoManager("near", mode="append")


@task(io_manager=near)
def rows() -> pl.DataFrame:
    return pl.DataFrame({{"a": [1]}})


@task
def seen(rows: pl.LazyFrame) -> int:
    return rows.collect().height


@job
def wandering() -> None:
    seen(rows())
""",
    )
    assert dbxdec(project, "run", "wandering").code == 0
    assert (project.root / "near/rows/_delta_log").is_dir()
    assert list(elsewhere.iterdir()) == []
