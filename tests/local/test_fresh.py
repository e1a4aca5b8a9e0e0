"""`dbxdec run --fresh`: what earlier runs have stored is moved out of the way, all of it or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from running import dbxdec, define, empty

if TYPE_CHECKING:
    from pathlib import Path

    from projects import Project

JOBS = """
far = PolarsDeltaIoManager("s3://bucket/x", mode="append")
common = lake.table("common", shared=True)


@job
def inner() -> None:
    @task(io_manager=lake.table("deep"))
    def deep() -> pl.DataFrame:
        return pl.DataFrame({"x": [1]})

    deep()


@job
def outer() -> None:
    @task(io_manager=lake.table("top"))
    def top() -> pl.DataFrame:
        return pl.DataFrame({"x": [1]})

    inner().after(top())


@job
def remote() -> None:
    @task(io_manager=far)
    def away() -> pl.DataFrame:
        return pl.DataFrame({"x": [1]})

    away()


@job
def hides() -> None:
    @task(io_manager=lake.table("src"))
    def sources() -> pl.DataFrame:
        return pl.DataFrame({"x": [1]})

    sources()


@job
def both() -> None:
    @task(io_manager=common)
    def one() -> pl.DataFrame:
        return pl.DataFrame({"x": [1]})

    one()
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = empty(tmp_path.resolve() / "project")
    define(project, JOBS)
    return project


def _rows(place: Path) -> int:
    return pl.read_delta(str(place)).height


@pytest.mark.slow
def test_tables_of_jobs_that_a_job_runs_are_set_aside_too(project: Project) -> None:
    """Otherwise each run would add its rows to those of the one before."""
    for options in ([], ["--fresh"]):
        said = dbxdec(project, "run", "outer", *options)
        assert said.code == 0, said
    assert [_rows(project.root / "lake" / name) for name in ("top", "deep")] == [1, 1]
    assert "lake/deep is set aside: .dbxdec/set_aside/" in said.err


@pytest.mark.slow
def test_tables_outside_of_the_project_refuse_a_fresh_run(project: Project, tmp_path: Path) -> None:
    """They are all named, and nothing has been moved or run; without them the run begins."""
    elsewhere = tmp_path.resolve() / "elsewhere"
    options = ("run", "outer", "--var", f"lake={elsewhere}")
    assert dbxdec(project, *options, "--fresh").code == 0
    said = dbxdec(project, *options, "--fresh")
    assert said.code == 2
    for task, name in (("top", "top"), ("inner/deep", "deep")):
        place = elsewhere / name
        assert (
            f"--fresh can't set aside what the task `{task}` has stored in {place}: {place} is outside of the project"
        ) in said.err
        assert _rows(place) == 1
    assert "run without --fresh" in said.err


@pytest.mark.slow
def test_linked_folders_and_roots_are_where_they_lead(project: Project, tmp_path: Path) -> None:
    """A link inside the project is followed; a link or a root that leads out of it refuses the run."""
    (project.root / "real").mkdir()
    (project.root / "lake").symlink_to("real")
    for options in ([], ["--fresh"]):
        assert dbxdec(project, "run", "inner", *options).code == 0
    assert _rows(project.root / "real/deep") == 1
    outside = tmp_path.resolve() / "outside"
    for code in (0, 2):
        said = dbxdec(project, "run", "remote", "--fresh", "--root", str(outside))
        assert said.code == code
    assert f"{outside}/s3/bucket/x/away is outside of the project" in said.err
    said = dbxdec(project, "run", "remote", "--fresh", "--remote")
    assert said.code == 2
    assert "has stored in s3://bucket/x/away: it is not on this machine" in said.err


@pytest.mark.slow
def test_a_folder_that_is_no_result_is_never_moved(project: Project) -> None:
    """A table may be called like a folder of the project."""
    said = dbxdec(project, "run", "hides", "--fresh", "--var", "lake=.")
    assert said.code == 2
    assert "no run of dbxdec has written what is there" in said.err
    assert (project.root / "src/shop/pipelines/sales.py").exists()
    assert dbxdec(project, "run", "hides", "--var", "lake=.").code == 0
    said = dbxdec(project, "run", "hides", "--fresh", "--var", "lake=.")
    assert said.code == 2
    assert "it holds files of the project" in said.err
    assert (project.root / "src/shop/pipelines/sales.py").exists()


@pytest.mark.slow
def test_shared_tables_stay_and_are_named(project: Project) -> None:
    """Other tasks have written them as well."""
    for options in ([], ["--fresh"]):
        said = dbxdec(project, "run", "both", *options)
        assert said.code == 0, said
    assert _rows(project.root / "lake/common") == 2
    assert "lake/common stays as it is: other tasks write it too" in said.err
