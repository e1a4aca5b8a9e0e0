"""`dbxdec missing`: the keys that there should be, less those of which the tables' logs tell."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from projects import Project
from running import Said, dbxdec, define, empty

TODAY = dt.datetime.now(dt.UTC).date()
FIRST = TODAY - dt.timedelta(days=4)
"""The first of four days: the last one ended last midnight, and none follows it, however late a test runs."""
DAYS = [str(FIRST + dt.timedelta(days=n)) for n in range(4)]
SPAN = f'since=dt.date.fromisoformat("{FIRST}"), until=dt.date.fromisoformat("{DAYS[-1]}")'
JOB = f"""
import datetime as dt
from typing import Literal
from dbxdec import daily, key, monthly

@task(io_manager=lake)
def bronze(day: dt.date, region: str = "eu") -> pl.DataFrame | None:
    if os.environ.get("NOTHING"):
        return None
    return pl.DataFrame({{"day": [day], "n": [1]}})

@task(io_manager=lake.table("gold", mode="overwrite", partition_by="day"))
def gold(bronze: pl.DataFrame | None, day: dt.date) -> pl.DataFrame | None:
    if os.environ.get("BROKEN"):
        raise ValueError("on purpose")
    return bronze

@job
def delays(day: dt.date = daily({SPAN})) -> None:
    gold(bronze(day), day)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = empty(tmp_path / "repository")
    define(project, JOB)
    return project


def missing(project: Project, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the first job."""
    said = dbxdec(project, "missing", *arguments, "--json")
    assert said.out, said.err
    found: dict[str, Any] = json.loads(said.out)["jobs"][0]
    return said.code, found


def run(project: Project, day: str, *arguments: str, job: str = "delays", **environment: str) -> Said:
    return dbxdec(project, "run", job, "-p", f"day={day}", *arguments, **environment)


def test_days_are_missing_partly_there_or_done(project: Project) -> None:
    """A run that failed in the middle leaves one table without the day; an empty day is a day."""
    code, found = missing(project)
    assert (code, found["done"]) == (1, 0)
    assert [key["day"] for key in found["missing"]] == DAYS
    assert run(project, DAYS[0]).code == 0
    assert run(project, DAYS[1], BROKEN="1").code == 1
    assert run(project, DAYS[2], NOTHING="1").code == 0
    code, found = missing(project, "delays")
    assert (code, found["job"], found["source"], found["done"]) == (1, "delays", "log", 2)
    assert found["missing"] == [{"day": DAYS[3]}]
    ((partial),) = found["partial"]
    assert partial["day"] == DAYS[1]
    assert sorted(partial["targets"].values()) == ["done", "missing"]
    assert found["unknown"] == []
    text = dbxdec(project, "missing").out
    assert f"missing  {DAYS[3]}" in text
    assert f"partial  {DAYS[1]}: " in text


@pytest.mark.slow
def test_nothing_missing_is_exit_code_0_and_new_names_keep_the_history(project: Project) -> None:
    """The table names the place: project, job and task may be called otherwise, and the parameter says what it was."""
    for day in DAYS:
        assert run(project, day).code == 0
    code, found = missing(project)
    assert (code, found["done"], found["missing"], found["partial"]) == (0, 4, [], [])
    changed = JOB.replace("def delays(day: dt.date = daily(", 'def late(date: dt.date = daily(was="day", ')
    changed = changed.replace("gold(bronze(day), day)", "gold(raw(date), date)").replace("def bronze(", "def raw(")
    define(project, changed.replace("@task(io_manager=lake)", '@task(io_manager=lake.table("bronze"))'))
    project.edit("pyproject.toml", 'name = "shop-pipelines"', 'name = "other-pipelines"')
    code, found = missing(project)
    assert (code, found["job"], found["done"]) == (0, "late", 4)


@pytest.mark.slow
def test_a_log_that_can_not_be_read_can_not_tell(project: Project) -> None:
    """It is never called missing: the exit code says so."""
    assert run(project, DAYS[0]).code == 0
    (log,) = project.root.rglob("gold/_delta_log/00000000000000000000.json")
    log.write_text("{")
    code, found = missing(project)
    assert (code, found["done"]) == (3, 0)
    assert [entry["target"].rpartition("/")[2] for entry in found["unknown"]] == ["gold"]
    assert "can't be told" in dbxdec(project, "missing").err


@pytest.mark.slow
def test_each_value_of_a_second_key_counts(project: Project) -> None:
    """`since` is a variable of the bundle, and `until` ends the days."""
    define(
        project,
        JOB.replace(
            f"day: dt.date = daily({SPAN})",
            'day: dt.date = daily(since=bundle_variable("first"), until=dt.date.fromisoformat("'
            + DAYS[1]
            + '")), region: Literal["eu", "us"] = key("eu")',
        ).replace("bronze(day)", "bronze(day, region)"),
    )
    project.edit("pyproject.toml", "[tool.dbxdec.variables]", f'[tool.dbxdec.variables]\nfirst = "{DAYS[0]}"')
    assert run(project, DAYS[1], "-p", "region=us").code == 0
    _, found = missing(project)
    expected = [(DAYS[0], "eu"), (DAYS[0], "us"), (DAYS[1], "eu")]
    assert [(key["day"], key["region"]) for key in found["missing"]] == expected


@pytest.mark.slow
def test_a_value_that_is_no_key_counts_for_none(project: Project) -> None:
    """A run for the second of a month is no month's."""
    define(project, JOB.replace("daily(since=", "monthly(since=").replace(str(FIRST), "2024-01-01"))
    assert run(project, "2024-02-02").code == 0
    _, found = missing(project)
    assert (found["done"], found["missing"][0]) == (0, {"day": "2024-01-01"})
    assert run(project, "2024-02-01").code == 0
    assert missing(project)[1]["done"] == 1


@pytest.mark.slow
def test_results_that_are_no_delta_tables_can_not_be_told(project: Project) -> None:
    """A day may be in the tables and not in the file."""
    more = """
from dbxdec.io_managers import PolarsParquetIoManager

@task(io_manager=PolarsParquetIoManager(bundle_variable("lake"), mode="overwrite"))
def file(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"n": [1]})
"""
    define(project, more + JOB.replace("    gold(bronze(day), day)", "    gold(bronze(day), day)\n    file(day)"))
    assert run(project, DAYS[0]).code == 0
    code, found = missing(project)
    assert (code, found["unknown"][0]["target"]) == (3, "file")
    assert [key["day"] for key in found["missing"]] == DAYS[1:]


@pytest.mark.slow
def test_a_table_between_two_steps_is_not_asked(project: Project) -> None:
    """It has the rows of the last run, whatever its key."""
    define(project, JOB.replace("@task(io_manager=lake)", '@task(io_manager=lake.table("staging", keyed=False))'))
    assert run(project, DAYS[0]).code == 0
    assert missing(project)[1]["done"] == 1
    assert run(project, DAYS[1], BROKEN="1").code == 1
    found = missing(project)[1]
    assert [key["day"] for key in found["missing"]] == DAYS[1:]


@pytest.mark.slow
def test_a_job_that_can_not_be_asked_hides_no_other(project: Project) -> None:
    """Of all jobs one has no table: the others are shown."""
    more = """
@task
def count(day: dt.date) -> int:
    return 1

@job
def a(day: dt.date = daily()) -> None:
    count(day)
"""
    define(project, JOB + more)
    said = dbxdec(project, "missing")
    assert said.code == 3
    assert "no run of the job `a` must write a Delta table" in said.err
    assert "delays  0 done, 4 missing" in said.out


WRONG = {
    "no such job": (["nothing"], "has no job `nothing`"),
    "a job without keys": (["plain"], "the job `plain` has no key"),
    "a job without tables": (["small"], "no run of the job `small` must write a Delta table"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_what_can_not_be_asked_is_said(project: Project, arguments: list[str], said: str) -> None:
    """With what to write instead."""
    more = """
@task
def count(day: dt.date) -> int:
    return day.day

@job
def plain() -> None:
    count(dt.date(2024, 1, 1))

@job
def small(day: dt.date = daily()) -> None:
    count(day)
"""
    define(project, JOB + more)
    found = dbxdec(project, "missing", *arguments)
    assert found.code == 2
    assert said in found.err


def test_mistakes_of_other_jobs_are_said_once(project: Project) -> None:
    """The tree is looked at once."""
    project.write("src/shop/pipelines/bad.py", "1 / 0\n")
    said = dbxdec(project, "missing", "delays")
    assert (said.code, said.err.count("no build is possible with 1 mistake in other jobs")) == (1, 1), said.err
