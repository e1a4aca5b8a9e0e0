"""What the documentation shows: its pipelines are run for two days, its commands are typed, its options exist.

A Python block that begins with the path of a file is a part of that file: all of a page are put together. Modules below
src/shop/pipelines are run. Commands of TRANSCRIPTS are typed again, with the files that the page has its reader write.
The tests of docs/testing.md and the IoManager of docs/io-managers.md have tests of their own (test_testing_plugin and
test_custom_io_manager). All other Python is compiled; TOML, YAML and JSON are parsed; commands of console blocks are
those of the command line. Other kinds of blocks are refused: nothing would check them.
"""

from __future__ import annotations

import ast
import datetime as dt
import importlib
import inspect
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import polars as pl
import pytest
import yaml
from deltalake import DeltaTable

import dbxdec
from dbxdec import RunError, io_managers, testing
from dbxdec.authoring.jobs import Job
from dbxdec.build import config, locking
from dbxdec.build.codegen import build_jobs
from dbxdec.cli.app import cli
from dbxdec.model.job_forms import encode_jobs
from dbxdec.model.manifest import Manifest
from dbxdec.testing import JobResult, Lake, job_dag, run_job
from dbxdec.views.diff import difference
from lock_documents import edge, package, shop, uv_lock, write
from repository import ROOT
from terminals import remains, shown_in_a_terminal

DOCS = ROOT / "docs"
PYPI = {"registry": "https://pypi.org/simple"}
PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md"))]
# The first again: a rerun of a day must be right as well.
DAYS = [dt.date(2024, 2, day) for day in (28, 29, 28)]
TRANSCRIPTS = ("README.md", "docs/tutorial.md")
"""Pages whose commands are typed, and whose output is compared with what is printed."""
LANGUAGES = {"python", "toml", "yaml", "json", "console", "text", ""}
PUBLIC = {
    "docs/reference/pipelines.md": dbxdec,
    "docs/reference/io-managers.md": io_managers,
    "docs/reference/testing.md": testing,
}


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


def _runs(module: Any, page: str, root: Path | None) -> dict[str, list[JobResult]]:
    """Run each job of a module for each day, on real tables below `root` or in memory; the results by job."""
    found = {}
    for job in _jobs(module):
        given: dict[str, Any] = {"secrets": SECRETS, "in_memory": root is None, **GIVEN.get(page, {})}
        given["variables"] = {"lake_root": "lake" if root is None else root / job.key, **VARIABLES}
        if root is None:
            given["tables"] = Lake(given.get("tables"))
        by_day = "day" in inspect.signature(job.fn).parameters
        found[job.key] = [run_job(job, parameters={"day": day} if by_day else {}, **given) for day in DAYS]
    return found


def _jobs(module: Any) -> list[Job[...]]:
    return [value for value in vars(module).values() if isinstance(value, Job)]


def _small(result: JobResult) -> dict[str, Any]:
    """What tasks have left that is no frame."""
    return {key: value for key, value in result.outputs.items() if isinstance(value, int | float | str | dict)}


def _definitions(*jobs: Job[...]) -> dict[str, Any]:
    """The definitions of jobs, with all checks of a build."""
    for job in jobs:
        job_dag(job)
    manifest = Manifest("shop", "1", "0" * 64, "dbxdec 0", encode_jobs(job.build().dag for job in jobs))
    return build_jobs(manifest, wheel="dist/shop-1-py3-none-any.whl")


def _rows(root: Path, table: str) -> list[tuple[Any, ...]]:
    return sorted(pl.read_delta(str(root / table)).rows(), key=repr)


@pytest.mark.parametrize(("page", "path"), pipelines())
def test_pipelines_run_for_two_days(documented: Any, tmp_path: Path, page: str, path: str) -> None:
    """Each succeeds on the first day, the second, and the first again, in memory too; those of Spark are built."""
    module = documented(page, path)
    assert _definitions(*_jobs(module))
    if "pyspark" in files(page)[path]:
        return
    real, in_memory = (_runs(module, page, root) for root in (tmp_path / "lake", None))
    for job, results in real.items():
        assert {str(result.state) for result in results} == {"success"}
        assert [result.states for result in results] == [result.states for result in in_memory[job]]
        assert [_small(result) for result in results] == [_small(result) for result in in_memory[job]]


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
    heights = {
        path.name: len(_rows(tmp_path, f"incremental/orders/{path.name}"))
        for path in (tmp_path / "incremental" / "orders").iterdir()
    }
    assert heights == {"by_partition": 4, "by_slice": 4, "by_key": 4, "appended": 6}


def test_a_high_water_mark_takes_each_event_once(documented: Any, tmp_path: Path) -> None:
    """docs/incremental.md: the reader gets the new rows alone, also none."""
    module = documented("docs/incremental.md", "src/shop/pipelines/events.py")
    runs = _runs(module, "docs/incremental.md", tmp_path)["hourly"]
    assert [run["count"].value for run in runs] == [10, 10, 0]
    assert _rows(tmp_path, "hourly/bronze/events") == sorted(((n,) for n in range(20)), key=repr)


def test_what_is_new_is_read_once(documented: Any, tmp_path: Path) -> None:
    """docs/changes.md: each order is counted once; the copy follows its source, and the audit has every change."""
    _runs(documented("docs/changes.md", "src/shop/pipelines/new.py"), "docs/changes.md", tmp_path)
    assert _rows(tmp_path, "hourly/gold/customers") == [("ann", 9)]
    first, second, _ = DAYS
    _runs(documented("docs/changes.md", "src/shop/pipelines/follow.py"), "docs/changes.md", tmp_path)
    assert _rows(tmp_path, "daily/silver/customers") == _rows(tmp_path, "daily/bronze/customers")
    changes = pl.read_delta(str(tmp_path / "daily" / "audit" / "customers"))
    of_new = changes.filter(pl.col("id") > 0).sort("version", "change").select("id", "change")
    assert of_new.rows() == [
        (first.day, "insert"),
        (first.day, "delete"),
        (second.day, "insert"),
        (second.day, "delete"),
        (first.day, "insert"),
    ]
    page: dict[str, Any] = {}
    exec(compile(files("docs/changes.md")["tests/test_new.py"], "test_new", "exec"), page)  # noqa: S102 - our own
    page["test_each_order_is_counted_once"](Lake())


def test_bad_rows_are_kept_apart(documented: Any, tmp_path: Path) -> None:
    """docs/expectations.md: the numbers of the commit are those of the page, and its tests pass."""
    page = "docs/expectations.md"
    _runs(documented(page, "src/shop/pipelines/expected.py"), page, tmp_path)
    assert len(_rows(tmp_path, "daily/silver/flights")) == 2 * len(DAYS)
    assert {row[0] for row in _rows(tmp_path, "daily/bad/flights")} == {3}
    history = DeltaTable(str(tmp_path / "daily" / "silver" / "flights")).history(1)[0]
    assert '"plausible delay": {"action": "kept", "failed": 1, "rows": 3}' in history["userMetadata"]
    tests: dict[str, Any] = {}
    exec(compile(files(page)["tests/test_expected.py"], "test_expected", "exec"), tests)  # noqa: S102 - our own
    tests["test_flights_without_carrier_are_kept_apart"]()
    tests["test_a_day_twice_is_refused"](Lake())


def test_frames_of_other_libraries_are_read_and_returned(documented: Any) -> None:
    """docs/frames.md: its test passes."""
    documented("docs/frames.md", "src/shop/pipelines/frames.py")
    tests: dict[str, Any] = {}
    exec(compile(files("docs/frames.md")["tests/test_frames.py"], "test_frames", "exec"), tests)  # noqa: S102 - our own
    tests["test_countries_with_large_orders_are_counted"]()


def test_contracts_are_kept(documented: Any, tmp_path: Path) -> None:
    """docs/contracts.md: a reader gets the columns that it asks for, and a row that breaks a rule is not stored."""
    page = "docs/contracts.md"
    module = documented(page, "src/shop/pipelines/contracts.py")
    _runs(module, page, tmp_path)
    assert len(_rows(tmp_path, "checked/silver/flights")) == 2 * len(DAYS)
    bad = pl.DataFrame({"day": DAYS[:1], "flight": [1], "carrier": ["UA"], "delay": [-500]})
    with pytest.raises(RunError, match=r"1 of 1 rows break the rule `delay\|min` of its contract `Flights`"):
        run_job(module.checked, inputs={"clean": bad})


@pytest.mark.slow
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
    broken = run_job(module.branches, replace={"count": lambda orders: 1 / 0}, raise_on_error=False)
    assert (broken.states["count"], broken.states["alarm"], str(broken.state)) == ("failed", "failed", "failed")


def test_the_pipeline_of_the_readme_is_one_that_a_build_takes(tmp_path: Path) -> None:
    """README.md, "What a pipeline looks like"."""
    file = tmp_path / "shown.py"
    file.write_text(files("README.md")["src/flights_pipeline/pipelines/daily.py"], encoding="utf-8")
    module = runpy.run_path(str(file), run_name="shown")
    assert job_dag(module["daily_delays"]).edges == {("extract", "delays"), ("delays", "worst")}


def test_a_schedule_becomes_what_the_page_shows(documented: Any) -> None:
    """docs/schedules.md."""
    module = documented("docs/schedules.md", "src/shop/pipelines/scheduled.py")
    (shown,) = [yaml.safe_load(code) for language, code in blocks("docs/schedules.md") if language == "yaml"]
    assert _is_part(shown["resources"]["jobs"], _definitions(module.scheduled))


def test_a_lock_becomes_what_the_page_shows(tmp_path: Path) -> None:
    """docs/locks.md: the project of the page with a lock gets the pins of the page, and a diff has its lines."""
    shown = tomllib.loads(files("docs/locks.md")["pyproject.toml"])
    document = uv_lock(
        shop(edge("dbxdec", extra=["polars"]), edge("httpx")),
        package("dbxdec", dbxdec.__version__, PYPI, **{"optional-dependencies": {"polars": [edge("polars")]}}),
        package("httpx", "0.28.1", PYPI, dependencies=[edge("idna")]),
        package("idna", "3.10", PYPI),
        package("polars", "1.44.0", PYPI),
        package("pytest", "9.0", PYPI),
    )
    requires = [{"name": "dbxdec", "extras": ["polars"]}, {"name": "httpx", "specifier": ">=0.27"}]
    document["package"][0] |= {"metadata": {"requires-dist": requires}, "dev-dependencies": {"dev": [edge("pytest")]}}
    write(tmp_path / "uv.lock", document)

    @dbxdec.job(cluster=dbxdec.job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="a"))
    def daily() -> None:
        dbxdec.task(key="one")(lambda: None)()

    dag = daily.build().dag
    settings, dependencies = config.parse(shown["tool"]["dbxdec"]), shown["project"]["dependencies"]
    found = locking.of_project(tmp_path, settings, "shop", dependencies, [dag])
    assert found.problems == ()
    old = Manifest("shop", "0.1.0", "0" * 64, "dbxdec 0", encode_jobs([dag]), locked=found.locked)
    libraries = build_jobs(old, wheel="../dist/shop-0.1.0-py3-none-any.whl")["daily"]["tasks"][0]["libraries"]
    (part,) = [yaml.safe_load(code) for language, code in blocks("docs/locks.md") if language == "yaml"]
    assert [one for one in libraries if one in part["libraries"]] == part["libraries"]
    assert found.locked is not None
    pins = found.locked.pins["3.12"]
    changed = tuple(text.replace("polars==1.44.0", "polars==1.45.0") for text in pins.packages)
    locked = replace(found.locked, pins={"3.12": replace(pins, packages=changed)})
    (change,) = difference(old, replace(old, locked=locked), {}, {}).pins
    assert f"~ {change.what}: {change.before} -> {change.after}\n" in text_of("docs/locks.md")


def _without_numbers(text: str) -> str:
    """A transcript without run ids, times and seconds, and without widths of columns, which follow them.

    Build ids stay: they follow from the files that the page shows.
    """
    text = re.sub(
        r"\b(?:\d{16}|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d+\.\d\ds?|\d+\.\d(?= +\d+/\d+$))\b",
        "#",
        text,
        flags=re.MULTILINE,
    )
    return re.sub(r" {2,}", "  ", text)


def _same_lines(text: str) -> list[str]:
    """The lines of a transcript in any order, in which tasks at once say theirs."""
    return sorted(_without_numbers(text).splitlines())


NOT_RUN = ("pip install", "databricks ", "python -m venv", "make ")
"""Commands whose output no page shows."""


class Terminal:
    """A folder in which the commands of a page are typed, one after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "UV": "",
            **{
                f"GIT_{who}_{what}": "nobody@example.invalid"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        }

    def type(self, command: str) -> str:
        command, _, there = command.partition(" && cd ")
        if command.startswith("dbxdec run ") and "|" not in command:  # it shows other lines where it is no terminal
            _, shown = shown_in_a_terminal(shlex.split(command), self.folder, self.environment, columns=200)
            return remains(shown)
        done = subprocess.run(  # noqa: S602 - as the reader types it
            command,
            shell=True,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=240,
        )
        self.folder /= there
        return done.stdout

    def write(self, path: str, content: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")


def steps(page: str) -> Iterator[tuple[str, str, str]]:
    """What a page has its reader do, in order: ("type", command, output), ("write", path, content), ..."""
    block = r"```(?P<language>\w+)\n(?P<code>.*?)```"
    change = r"<!-- replace in (?P<file>\S+): (?P<old>.*?) by (?P<new>.*?) -->"
    for match in re.finditer(f"{block}|{change}", text_of(page), re.DOTALL):
        language, code = match["language"], match["code"]
        if language is None:
            yield "replace", match["file"], f"{match['old']}\0{match['new']}"
        elif language == "console":
            for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", code, re.MULTILINE):
                yield "type", command, shown
        elif path := re.match(r"# (\S+)\n", code):
            yield language, path[1], code  # with the line of its path, as a reader pastes it: messages name lines


def _follow(page: str, terminal: Terminal) -> Iterator[tuple[str, str, str]]:
    """Do what a page says; what is printed, and what the page shows."""
    for kind, what, content in steps(page):
        if kind == "type" and not what.startswith(NOT_RUN):
            yield what, terminal.type(what), content
        elif kind == "replace":
            old, new = content.split("\0")
            text = (terminal.folder / what).read_text(encoding="utf-8")
            assert old in text
            terminal.write(what, text.replace(old, new))
        elif kind == "python":
            terminal.write(what, content)
        elif kind == "toml":
            text = (terminal.folder / what).read_text(encoding="utf-8")
            line = content.splitlines()[-1]
            terminal.write(what, re.sub(rf"^{line.partition('=')[0]}=.*$", line, text, flags=re.MULTILINE))
        elif kind == "yaml":
            made = yaml.safe_load((terminal.folder / what).read_text(encoding="utf-8"))
            assert _is_part(yaml.safe_load(content), made)


def _is_part(shown: Any, made: Any) -> bool:
    """Whether all that a page shows of a document is in the one that was made."""
    if isinstance(shown, dict):
        return isinstance(made, dict) and all(key in made and _is_part(shown[key], made[key]) for key in shown)
    return bool(shown == made)


@pytest.mark.slow
@pytest.mark.parametrize("page", TRANSCRIPTS)
def test_transcripts_are_what_the_commands_print(page: str, tmp_path: Path) -> None:
    """The same lines, but for run ids, times and seconds, with the files that the page has its reader write."""
    compared = [(_same_lines(printed), _same_lines(shown)) for _, printed, shown in _follow(page, Terminal(tmp_path))]
    assert len(compared) > 2
    for printed, shown in compared:
        assert printed == shown


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_of_the_documentation_exist(page: str) -> None:
    """Each `dbxdec ...` of a page names a command, and options that this command has."""
    text = text_of(page)
    found = re.findall(r"(?:`|^\$ |(?:run|preinit): (?:.* )?)dbxdec ([a-z-].*?)(?:`|$)", text, re.MULTILINE)
    for line in found:
        words = shlex.split(re.split(r" && | \| |\)", line)[0])
        command: click.Command | None = cli
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            command = command.get_command(click.Context(command), words.pop(0))
        assert command is not None, line
        known = {name for option in command.params for name in option.opts} | {"--help"}
        options = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert {name for option in options for name in option.split("/")} - known == set(), line


@pytest.mark.parametrize("page", PAGES)
def test_each_console_command_is_one_of_a_known_program(page: str) -> None:
    """A prompt is followed by a program that the page has its reader install; targets of make exist."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    programs = {"databricks", "dbxdec", "git", "hatch", "hatchling", "make", "pip", "pytest", "python", "rm"}
    for language, code in blocks(page):
        for command in re.findall(r"^\$ (.*)$", code, re.MULTILINE) if language == "console" else ():
            words = shlex.split(command, comments=True)
            assert words[0] in programs, command
            if words[0] == "make":
                assert all(re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE) for word in words[1:]), command


@pytest.mark.parametrize("page", PAGES)
def test_each_block_is_what_it_says(page: str) -> None:
    """Python is compiled and finds what it imports of dbxdec; TOML, YAML and JSON are parsed, settings checked."""
    for language, code in blocks(page):
        assert language in LANGUAGES
        if "--8<--" in code:
            continue
        if language == "python":
            _check_python(code)
        elif language == "toml":
            found = tomllib.loads(code)
            config.parse(found.get("tool", {}).get("dbxdec", {}))
        elif language == "yaml":
            assert isinstance(yaml.safe_load(code), dict)
        elif language == "json":
            json.loads(code)


def _check_python(code: str) -> None:
    """Compile a block; its imports from dbxdec have to be there."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "dbxdec":
            module = importlib.import_module(str(node.module))
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Files and headings that a page links to exist; the site's own check does not see the README."""
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)):
        if re.match(r"\w+://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", head.lower()).strip()) for head in headings}


def test_each_page_is_in_the_navigation() -> None:
    """mkdocs.yml has each page once."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"([\w/-]+\.md)$", text[text.index("\nnav:") :], re.MULTILINE)
    assert sorted(listed) == sorted(page.removeprefix("docs/") for page in PAGES if page.startswith("docs/"))


def test_the_readme_leads_to_each_guide() -> None:
    """Someone who reads the pages in the repository finds all but the site's first page and its reference."""
    lead = set(re.findall(r"\(docs/([\w-]+\.md)\)", text_of("README.md")))
    assert lead == {path.name for path in DOCS.glob("*.md")} - {"index.md"}


def test_the_readme_opens_with_what_it_is_the_picture_and_two_commands() -> None:
    """Under 150 lines; what it is, the picture, `make demo` and `make test`, then all else."""
    text = text_of("README.md")
    assert len(text.splitlines()) < 150
    opening, *_ = text.split("\n## ")
    places = [opening.index(part) for part in ("Databricks pipelines", "```\n", "$ make demo", "$ make test")]
    assert places == sorted(places)


def test_the_answers_of_contributing_are_modules() -> None:
    """CONTRIBUTING.md, "Where things are": a file that it names is the end of a path of the source."""
    rows = [line for line in text_of("CONTRIBUTING.md").splitlines() if re.match(r"\| .*\? \|", line)]
    named = {name for row in rows for name in re.findall(r"`([\w/]+\.py)`", row)}
    sources = [path.as_posix() for path in (ROOT / "src").rglob("*.py")]
    assert len(named) > 50
    assert [name for name in sorted(named) if not any(path.endswith(f"/{name}") for path in sources)] == []


def _words_of_rooms(picture: str) -> dict[str, set[str]]:
    """Return the words that the picture says of each of its folders: what it is, and which modules it has."""
    words: dict[str, set[str]] = {}
    inside: list[tuple[int, str]] = []
    for line in picture.splitlines():
        name, indent = line.split()[0], len(line) - len(line.lstrip())
        if indent < 17:  # others go on with the entry above
            inside = [one for one in inside if one[0] < indent]
            if name.endswith("/"):
                inside.append((indent, name.rstrip("/")))
                line = line.replace(name, "", 1)
        path = "/".join(one for _, one in inside)
        words.setdefault(path, set()).update(re.findall(r"\w+", line))
    return words


def test_each_module_is_in_the_picture_of_contributing() -> None:
    """Whoever looks for a behaviour finds in its room there the module that decides it."""
    _, picture, *_ = text_of("CONTRIBUTING.md").partition("## Where things are")[2].split("\n```\n")
    rooms = _words_of_rooms(picture)
    modules = [path.relative_to(ROOT) for path in (ROOT / "src").rglob("*.py") if not path.stem.startswith("__")]
    assert len(modules) > 300
    assert sorted(str(path) for path in modules if path.stem not in rooms.get(path.parent.as_posix(), ())) == []


def _described(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the lines and texts of the docstrings of a module, and of its classes, functions and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            for one in node.body:
                match one:
                    case ast.Expr(value=ast.Constant(value=str(text))):
                        yield one.lineno, text


def test_docstrings_name_the_thing_first() -> None:
    """They say "The number of rows", not "How many rows there are"."""
    question = re.compile(r"(What|Whether|Where|Which|Who|Why|When|How|That|Those)\b")
    found = [
        f"{path.relative_to(ROOT)}:{line} {text.splitlines()[0]}"
        for folder in ("src", "bench", "examples")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "tests" not in path.parts
        for line, text in _described(ast.parse(path.read_bytes()))
        if question.match(text)
    ]
    assert found == []


def test_each_option_of_a_run_is_documented() -> None:
    """docs/local.md names every option of `dbxdec run`."""
    run = cli.get_command(click.Context(cli), "run")
    assert run is not None
    text = text_of("docs/local.md")
    options = {name for option in run.params if isinstance(option, click.Option) for name in option.opts[:1]}
    assert {name for name in options if f"`{name}" not in text} == set()


def test_each_setting_is_documented_with_its_default() -> None:
    """docs/reference/settings.md has every key of [tool.dbxdec], and no other."""
    rows = re.findall(r"^\| `([a-z-]+)` \| .*? \| `(.*?)` \|", text_of("docs/reference/settings.md"), re.MULTILINE)
    default = config.Config()
    made = {name: getattr(default, name.replace("-", "_")) for name, _ in rows}
    assert set(made) == {field.replace("_", "-") for field in config.Config.__dataclass_fields__}
    shown = {name: ast.literal_eval(text) for name, text in rows}
    assert shown.pop("pipelines") == ["<package>.pipelines"]
    assert made.pop("pipelines") is None  # it depends on the package
    assert {name: list(value) if isinstance(value, tuple) else value for name, value in made.items()} == shown


@pytest.mark.parametrize("page", PUBLIC)
def test_the_reference_has_each_public_name(page: str) -> None:
    """Each name of `__all__` is on the page of its package, or on that of the package that it comes from first."""
    text = text_of(page)
    everywhere = "".join(map(text_of, PUBLIC))
    for name in PUBLIC[page].__all__:
        objects = {"params": "Params", "task_values": "TaskValues"}
        shown = rf"^::: dbxdec\.(?:\w+\.)*{objects.get(name, name)}$"
        assert re.search(shown, text, re.MULTILINE) or re.search(shown, everywhere, re.MULTILINE), name


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package in PUBLIC.values() for name in package.__all__]
)
def test_docstrings_of_public_names_leave_nothing_to_guess(package: Any, name: str) -> None:
    """Each parameter is described, what is raised is said, and there is an example, which runs."""
    value = getattr(package, name)
    doc = inspect.getdoc(value) or ""
    function = value if inspect.isfunction(value) else getattr(value, "__init__", None) if _is_made(value) else None
    described = set(re.findall(r"^ +\*{0,2}(\w+): ", doc, re.MULTILINE))
    if function is not None:
        assert set(inspect.signature(function).parameters) - {"self"} - described == set()
    if inspect.isfunction(value) and name != "bundle_target":
        assert "Raises:" in doc
    examples = re.findall(r"```python\n(.*?)```", doc, re.DOTALL)
    assert examples
    for code in examples:
        exec(compile(textwrap.dedent(code), name, "exec"), {"__name__": "example"})  # noqa: S102 - our own


def _is_made(value: Any) -> bool:
    """Whether users make instances of a class, and need to know its parameters."""
    return (
        isinstance(value, type)
        and (value.__name__.endswith("IoManager") or value in (Lake, dbxdec.DeltaMerge))
        and (value is not dbxdec.IoManager)
    )


def messages() -> list[str]:
    """All strings of the sources and all expected messages of tests/wrong, with `…` for what is put in."""
    found = []
    for path in [*(ROOT / "src").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    for path in (ROOT / "tests" / "wrong").glob("*/expected.txt"):
        found += path.read_text(encoding="utf-8").splitlines()
    return [text.replace("`", "") for text in found]


@pytest.mark.slow
def test_each_message_of_the_troubleshooting_page_is_said() -> None:
    """docs/troubleshooting.md: each heading is a message of the sources, or one that a test of tests/wrong expects."""
    headings = re.findall(r"^### `(.*)`$", text_of("docs/troubleshooting.md"), re.MULTILINE)
    assert len(headings) > 30
    known = set(messages())
    # A source may put in what the page spells out.
    open_ended = [re.compile(_pattern(text)) for text in known if "…" in text and len(text.replace("…", "")) > 30]
    for heading in headings:
        shown = re.compile(_pattern(heading))
        assert any(map(shown.search, known)) or any(each.search(heading) for each in open_ended), heading


def _pattern(text: str) -> str:
    """A regular expression for a message, of which `…` may be anything."""
    return ".*?".join(re.escape(part) for part in text.split("…"))
