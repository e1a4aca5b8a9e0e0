"""What the documentation shows: its pipelines are run for two days, its commands are typed, its options exist.

A Python block that begins with the path of a file is a part of that file: all of a page are put together. Files below
src/shop/pipelines are run (`test_pipelines_run_for_two_days`), those below tests/ by pytest, all others are compiled. Blocks
of TOML, YAML and JSON are parsed, and what they say to dbxdec is checked; the commands of console blocks are those of the
command line. Other kinds of blocks are refused: nothing would check them.
"""

from __future__ import annotations

import ast
import datetime as dt
import importlib
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import dbxdec
import polars as pl
import pytest
import yaml
from conftest import ROOT
from dbxdec import io_managers, testing
from dbxdec.authoring.jobs import Job
from dbxdec.build import config
from dbxdec.build.bundlefile import NAMES
from dbxdec.cli.app import cli
from dbxdec.testing import Lake, job_dag, run_job

DOCS = ROOT / "docs"
PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md"))]
# The first again: a rerun of a day must be right as well.
DAYS = [dt.date(2024, 2, day) for day in (28, 29, 28)]
CONSOLE = ("README.md", "docs/tutorial.md")
"""Pages whose transcripts are typed again, and compared with what is printed."""


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[tuple[str, str]]:
    """The code blocks of a page: language and content, without the indentation of a list that they are in."""
    found = re.findall(r"^( *)```([^\n]*)\n(.*?)^\1```", text_of(page), re.MULTILINE | re.DOTALL)
    return [(language.strip(), textwrap.dedent(code)) for _, language, code in found]


def files(page: str) -> dict[str, str]:
    """The files of a page, each put together of the blocks that begin with its path."""
    found: dict[str, str] = {}
    for language, code in blocks(page):
        if (match := re.match(r"# (\S+\.(?:py|toml|yml))\n(.*)", code, re.DOTALL)) and language:
            path, content = match.groups()
            found[path] = found.get(path, "") + content
    return found


def pipelines() -> list[tuple[str, str]]:
    """Pages and the modules with pipelines that they show."""
    return [(page, path) for page in PAGES for path in files(page) if path.startswith("src/shop/pipelines/")]


@pytest.fixture
def documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Gives the module at `path` of a page, with the page's other modules beside it."""

    def load(page: str, path: str) -> Any:
        for other, code in files(page).items():
            file = tmp_path / other
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(code, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path / "src")
        return importlib.import_module(path.removeprefix("src/").removesuffix(".py").replace("/", "."))

    yield load
    for name in [name for name in sys.modules if name == "shop" or name.startswith("shop.")]:
        del sys.modules[name]


# What a pipeline needs that nobody wires, and what its tables hold after the runs of two days and one of them again.
GIVEN: dict[str, dict[str, Any]] = {
    "docs/testing.md": {
        "replace": {"orders": lambda country, day: pl.DataFrame({"country": [country], "amount": [day.day]})},
        "tables": {"reference/rates": pl.DataFrame({"country": ["de", "fr"], "rate": [1.0, 2.0]})},
    },
}
VARIABLES = {"accepted": 0, "catalog": "main", "schema": "gold"}
SECRETS = {"vault/api-key": "value", "vault/storage-key": "value"}


def _runs(module: Any, page: str, root: Path) -> dict[str, list[Any]]:
    """Run each job of a module for each day, on real tables below `root`; the results by job."""
    found = {}
    for job in [value for value in vars(module).values() if isinstance(value, Job)]:
        by_day = "day" in inspect.signature(job.fn).parameters
        variables = {"lake_root": root / job.key, **VARIABLES}
        found[job.key] = [
            run_job(
                job,
                **({"day": day} if by_day else {}),
                variables=variables,
                secrets=SECRETS,
                in_memory=False,
                **GIVEN.get(page, {}),
            )
            for day in DAYS
        ]
    return found


def _rows(root: Path, table: str) -> list[tuple[Any, ...]]:
    return sorted(pl.read_delta(str(root / table)).rows(), key=repr)


@pytest.mark.parametrize(("page", "path"), pipelines())
def test_pipelines_run_for_two_days(documented: Any, tmp_path: Path, page: str, path: str) -> None:
    """Each succeeds on the first day, the second, and the first again; those of Spark are built."""
    module = documented(page, path)
    jobs = [value for value in vars(module).values() if isinstance(value, Job)]
    assert jobs, "a module of pipelines without a job"
    if "pyspark" in files(page)[path]:
        for job in jobs:
            assert job_dag(job).tasks
        return
    for results in _runs(module, page, tmp_path / "lake").values():
        assert {str(result.state) for result in results} == {"success"}


def test_the_medallion_counts_each_row_once(documented: Any, tmp_path: Path) -> None:
    """docs/results.md: new rows are those of the day, the whole table has all, a merge keeps one row a key."""
    module = documented("docs/results.md", "src/shop/pipelines/medallion.py")
    lake = Lake()
    for number, day in enumerate(DAYS, 1):
        for given in ({"tables": lake}, {"in_memory": False, "variables": {"lake_root": tmp_path / "lake"}}):
            found = run_job(module.medallion, day=day, **given)["report"].value
            assert found == {"new": 2, "all": 2 * number, "customers": 2}


def test_the_orders_of_a_second_day_are_converted_once(documented: Any, tmp_path: Path) -> None:
    """docs/testing.md: appends that read appends."""
    module = documented("docs/testing.md", "src/shop/pipelines/daily.py")
    _runs(module, "docs/testing.md", tmp_path)
    silver = pl.read_delta(str(tmp_path / "daily" / "silver" / "orders"))
    assert sorted(silver.select("country", "amount").rows()) == [
        (country, day) for country in ("de", "fr") for day in (28, 28, 29)
    ]


def test_incremental_loads_leave_what_the_page_says(documented: Any, tmp_path: Path) -> None:
    """docs/incremental.md: a rerun of a day replaces or updates; only an append adds again, once in each run."""
    module = documented("docs/incremental.md", "src/shop/pipelines/incremental.py")
    _runs(module, "docs/incremental.md", tmp_path)
    heights = {path.name: len(_rows(tmp_path, f"incremental/orders/{path.name}")) for path in
               (tmp_path / "incremental" / "orders").iterdir()}
    assert heights == {"by_partition": 4, "by_slice": 4, "by_key": 4, "appended": 6}


def test_a_high_water_mark_takes_each_event_once(documented: Any, tmp_path: Path) -> None:
    """docs/incremental.md: the reader gets the new rows alone, also none."""
    module = documented("docs/incremental.md", "src/shop/pipelines/events.py")
    runs = _runs(module, "docs/incremental.md", tmp_path)["hourly"]
    assert [run["count"].value for run in runs] == [10, 10, 0]
    assert _rows(tmp_path, "hourly/bronze/events") == sorted(((n,) for n in range(20)), key=repr)


def test_merges_leave_what_their_clauses_say(documented: Any, tmp_path: Path) -> None:
    """docs/merges.md: every clause, after two days and the first again."""
    module = documented("docs/merges.md", "src/shop/pipelines/merges.py")
    _runs(module, "docs/merges.md", tmp_path)

    def table(name: str, *columns: str) -> list[tuple[Any, ...]]:
        frame = pl.read_delta(str(tmp_path / "merges" / "merges" / name))
        return sorted(frame.select(columns).rows(), key=repr)

    first, second, _ = DAYS
    both = [("ann",), ("bob",), (f"new-{first}",), (f"new-{second}",)]
    assert table("upsert", "name") == both
    assert table("upsert", "name", "day")[0] == ("ann", first)
    assert table("newest", "name", "day")[0] == ("ann", second)
    assert table("first_seen", "name", "day", "orders")[0] == ("ann", first, None)
    assert table("last_seen", "name", "day")[0] == ("ann", second)
    assert table("without_deleted", "name") == both  # bob comes back with the first day
    assert table("mirror", "name") == [("ann",), ("bob",), (f"new-{first}",)]
    assert table("marked", "name", "gone") == [
        ("ann", False),
        ("bob", False),
        (f"new-{first}", False),
        (f"new-{second}", True),
    ]


def test_partitions_and_slices_count_as_the_page_says(documented: Any, tmp_path: Path) -> None:
    """docs/partitions.md."""
    module = documented("docs/partitions.md", "src/shop/pipelines/partitions.py")
    runs = _runs(module, "docs/partitions.md", tmp_path)["daily"]
    assert runs[1]["count"].value == {"orders": 2, "all": 4, "alarms": 0}
    assert runs[2]["count"].value == runs[1]["count"].value


def test_iterations_are_read_as_one_and_by_item(documented: Any, tmp_path: Path) -> None:
    """docs/for-each.md."""
    module = documented("docs/for-each.md", "src/shop/pipelines/countries.py")
    for run in _runs(module, "docs/for-each.md", tmp_path)["countries"]:
        assert run["total"].value == 21
        assert run["by_country"].value == {"de": 2, "fr": 2, "it": 2}


def test_each_branch_is_taken_on_its_day(documented: Any, tmp_path: Path) -> None:
    """docs/branches.md."""
    module = documented("docs/branches.md", "src/shop/pipelines/branches.py")
    runs = _runs(module, "docs/branches.md", tmp_path)["branches"]
    assert [run["report"].value for run in runs] == ["only 2 orders", "9 in all", "only 2 orders"]
