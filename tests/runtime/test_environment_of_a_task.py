"""A task's function may take environment variables away: results, values and secrets stay where they are.

Its module sees no arguments of the process, as in the build.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dbxdec import job, secret, task
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.local import peek, survey
from dbxdec.model import places
from dbxdec.support import environment
from dbxdec.testing import run_job
from running import dbxdec, define, empty

lake = PolarsDeltaIoManager("s3://bucket/lake", mode="append")


@task(io_manager=lake)
def clearing() -> pl.DataFrame:
    os.environ.clear()
    return pl.DataFrame({"a": [1]})


@task(io_manager=lake)
def reading(clearing: pl.LazyFrame) -> pl.LazyFrame:
    def late(frame: pl.DataFrame) -> pl.DataFrame:
        os.environ.pop(places.ROOT, None)
        return frame.with_columns(place=pl.lit(lake.uri("other")), secret=pl.lit(secret("vault", "key").value()))

    return clearing.map_batches(late, schema={"a": pl.Int64, "place": pl.String, "secret": pl.String})


@job
def changing() -> None:
    reading(clearing())


def test_a_cleared_environment_sends_no_result_to_a_real_remote_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The local root is kept while a task runs, also where its query runs as its result is stored."""
    for name, value in {places.ROOT: str(tmp_path), "DBXDEC_SECRET_VAULT_KEY": "s"}.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    try:
        run_job(changing, in_memory=False)
    finally:
        os.environ.update(before)
    found = pl.read_delta(f"{tmp_path}/s3/bucket/lake/reading").row(0)
    assert found == (1, f"{tmp_path}/s3/bucket/lake/other", "s")


def test_what_a_task_sets_counts_and_what_only_the_runner_sets_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that puts an older environment back would have a task's values in another run's folder."""
    monkeypatch.setenv("DBXDEC_A", "run")
    with environment.kept():
        monkeypatch.setenv("DBXDEC_A", "older")
        assert (environment.given("DBXDEC_A"), environment.get("DBXDEC_A")) == ("run", "older")
        with environment.kept():
            monkeypatch.delenv("DBXDEC_A")
            assert (environment.given("DBXDEC_A"), environment.get("DBXDEC_A")) == ("run", "older")
        assert environment.get("DBXDEC_A") == "run"
    assert (environment.given("DBXDEC_A"), environment.get("DBXDEC_A")) == (None, None)


@pytest.mark.parametrize(("module", "name"), [(survey, "_answer"), (peek, "_read_all")])
def test_processes_that_look_at_tables_keep_the_environment_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    """A module of the project takes it away as it is imported: keys would be noted in the logs of remote tables."""

    def clears(*_: object) -> str:
        monkeypatch.delenv(places.ROOT)
        return places.here("s3://bucket/lake")

    monkeypatch.setenv(places.ROOT, str(tmp_path))
    monkeypatch.setattr(module, name, clears)
    result = tmp_path / "result.json"
    request = {"result": str(result), "arguments": [], "outputs": [], "rows": 1}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(request)))
    module.main()
    assert json.loads(result.read_text()) == f"{tmp_path}/s3/bucket/lake"


def test_a_module_that_parses_arguments_is_imported_in_a_task_as_in_the_build(tmp_path: Path) -> None:
    """The arguments of a task's process are those of dbxdec: a parser of the author's would end the task."""
    project = empty(tmp_path)
    define(
        project,
        """
import argparse
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--shop", default="all")
shops = parser.parse_args().shop


@task
def seen() -> list[str]:
    assert sys.argv[1:] == []
    return [shops]


@job
def parsing() -> None:
    seen()
""",
    )
    said = dbxdec(project, "run", "parsing")
    assert said.code == 0, said.err
    assert '["all"]' in said.out + said.err
