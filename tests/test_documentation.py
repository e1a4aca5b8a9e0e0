"""What the documentation shows: its pipelines are run for two days, its commands are typed, its options exist."""

from __future__ import annotations

import datetime as dt
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import polars as pl
import pytest

from conftest import ROOT
from dbxdec.cli.app import cli
from dbxdec.testing import Lake, run_job

PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
DAYS = [dt.date(2024, 2, day) for day in (28, 29)]


def blocks(page: str) -> dict[str, str]:
    """The code blocks of a page that begin with the path of a file, put together by file."""
    files: dict[str, str] = {}
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for path, code in re.findall(r"```python\n# (\S+)\n(.*?)```", text, re.DOTALL):
        files[path] = files.get(path, "") + code
    return files


@pytest.fixture
def documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Gives the module at `path` of a page."""

    def load(page: str, path: str) -> Any:
        name = path.removeprefix("src/").removesuffix(".py").replace("/", ".")
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(blocks(page)[path], encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path / "src")
        return importlib.import_module(name)

    yield load
    for name in [name for name in sys.modules if name == "shop" or name.startswith("shop.")]:
        del sys.modules[name]


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "real tables"])
def test_the_medallion_counts_each_row_once(documented: Any, tmp_path: Path, in_memory: bool) -> None:
    """docs/results.md: new rows are those of the day, the whole table has both days, a merge keeps one row a key."""
    module = documented("results.md", "src/shop/pipelines/medallion.py")
    lake = Lake()
    for number, day in enumerate(DAYS, 1):
        given: dict[str, Any] = {"tables": lake}
        if not in_memory:
            given = {"in_memory": False, "variables": {"lake_root": tmp_path / "lake"}}
        found = run_job(module.medallion, day=day, **given)["report"].value
        assert found == {"new": 2, "all": 2 * number, "customers": 2}


def test_the_orders_of_a_second_day_are_converted_once(documented: Any, tmp_path: Path) -> None:
    """docs/testing.md: appends that read appends."""
    module = documented("testing.md", "src/shop/pipelines/daily.py")
    rates = pl.DataFrame({"country": ["de", "fr"], "rate": [1.0, 2.0]})
    for day in DAYS:
        run_job(
            module.daily,
            day=day,
            countries=["de", "fr"],
            replace={"orders": lambda country, day: pl.DataFrame({"country": [country], "amount": [day.day]})},
            tables={"reference/rates": rates},
            variables={"lake_root": tmp_path / "lake", "accepted": 0},
            in_memory=False,
        )
    silver = pl.read_delta(str(tmp_path / "lake" / "silver" / "orders"))
    assert sorted(silver.select("country", "amount").rows()) == [("de", 28), ("de", 29), ("fr", 28), ("fr", 29)]


def test_the_first_steps_print_what_the_readme_shows(tmp_path: Path) -> None:
    """README.md, "From nothing to a running pipeline": the same lines, but for ids and seconds."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (transcript,) = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "UV": ""}
    here = tmp_path
    steps = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", transcript, re.MULTILINE)
    assert len(steps) > 3
    for command, shown in steps:
        if command.startswith("pip install"):
            continue
        command, _, folder = command.partition(" && cd ")
        done = subprocess.run(
            shlex.split(command),
            cwd=here,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        assert (_without_numbers(done.stdout), done.returncode) == (_without_numbers(shown), 0)
        here /= folder


def _without_numbers(text: str) -> str:
    """A transcript without run ids, build ids and seconds."""
    return re.sub(r"\b(?:\d{16}|[0-9a-f]{12}|\d+\.\d\d)\b", "#", text)


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_of_the_documentation_exist(page: str) -> None:
    """Each `dbxdec ...` of a page names a command, and options that this command has."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for line in re.findall(r"(?:`|^\$ )dbxdec ([a-z-].*?)(?:`|$)", text, re.MULTILINE):
        words = line.partition(" && ")[0].split()
        command: click.Command | None = cli
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            command = command.get_command(click.Context(command), words.pop(0))
        assert command is not None, line
        known = {name for option in command.params for name in option.opts} | {"--help"}
        assert {word for word in words if word.startswith("-")} <= known, line


def test_each_option_of_a_run_is_documented() -> None:
    """docs/local.md names every option of `dbxdec run`."""
    run = cli.get_command(click.Context(cli), "run")
    assert run is not None
    text = (ROOT / "docs/local.md").read_text(encoding="utf-8")
    options = {name for option in run.params if isinstance(option, click.Option) for name in option.opts[:1]}
    assert {name for name in options if f"`{name}" not in text} == set()
