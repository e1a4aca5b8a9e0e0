"""`dbxdec backfill` of jobs that run other jobs for the same key: no row is there twice, whoever runs what."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
from pathlib import Path

import polars as pl
import pytest

from dbxdec.local import ledger
from projects import Project
from running import DBXDEC, dbxdec, define, empty, wait_for, wait_for_no_worker

FIRST = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=3)
DAYS = [str(FIRST + dt.timedelta(days=n)) for n in range(3)]
SINCE = f'daily(since=dt.date.fromisoformat("{FIRST}"))'
JOBS = f"""
import datetime as dt
from dbxdec import daily

@task(io_manager=lake.table("landed"))
def land(day: dt.date) -> pl.DataFrame:
    if os.path.exists("hang"):
        Path("hanging").touch()
        time.sleep(60)
    return pl.DataFrame({{"day": [day]}})

@task(io_manager=lake.table("after"))
def after(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({{"day": [day]}})

@job
def inner(day: dt.date = {SINCE}) -> None:
    land(day)

@job
def outer(date: dt.date = {SINCE}) -> None:
    run = inner(date)
    after(date).after(run)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = empty(tmp_path / "repository")
    define(project, JOBS)
    return project


def rows(project: Project, table: str) -> list[str]:
    """The days that a table has, with those that it has twice."""
    (place,) = {path.parent.parent for path in project.root.rglob(f"{table}/_delta_log/0*.json")}
    return sorted(map(str, pl.read_delta(str(place))["day"]))


@pytest.mark.slow
def test_rows_of_another_program_in_a_table_of_a_job_inside_are_refused(project: Project) -> None:
    """They may be days that a run of the outer job would append again."""
    assert dbxdec(project, "run", "outer", "-p", f"date={DAYS[0]}").code == 0
    (place,) = {path.parent.parent for path in project.root.rglob("landed/_delta_log/0*.json")}
    pl.DataFrame({"day": [FIRST, FIRST + dt.timedelta(1)]}).write_delta(str(place), mode="overwrite")
    said = dbxdec(project, "backfill", "outer", "--yes")
    assert (said.code, "landed has rows of which no log says the keys" in said.err) == (2, True), said.err
    assert "`dbxdec keys mark inner KEY=A..B --task land`" in said.err


@pytest.mark.slow
def test_days_that_a_job_inside_has_appended_are_refused_by_name(project: Project) -> None:
    """A run of the outer job would append them again; the others are run, and `--again partial` wants just that."""
    assert dbxdec(project, "backfill", "inner", f"day={DAYS[1]},{DAYS[2]}", "--yes").code == 0
    said = dbxdec(project, "backfill", "outer", "--yes")
    assert said.code == 2, said.out
    assert f"lake/landed of the job `inner`, which `outer` runs, has `{DAYS[1]}` and `{DAYS[2]}` already" in said.err
    assert dbxdec(project, "backfill", "outer", f"date={DAYS[0]}", "--yes").code == 0
    assert rows(project, "landed") == DAYS
    assert dbxdec(project, "backfill", "outer", f"date={DAYS[1]}", "--again", "partial", "--yes").code == 0
    assert rows(project, "landed") == sorted([*DAYS, DAYS[1]])


@pytest.mark.slow
def test_a_backfill_keeps_others_of_the_jobs_that_it_runs_away(project: Project) -> None:
    """Both would append the day. A plan alone is shown in any case."""
    (project.root / "hang").touch()
    started = subprocess.Popen([*DBXDEC, "backfill", "outer", "--yes"], cwd=project.root, start_new_session=True)
    wait_for(project.root / "hanging")
    (project.root / "hang").unlink()
    said = dbxdec(project, "backfill", "inner", "--yes")
    assert said.code == 2, said.out
    assert "another backfill of the job `inner` is at work here, or one of a job that runs it" in said.err
    said = dbxdec(project, "run", "inner", "-p", f"day={DAYS[1]}")
    assert said.code == 2, said.out
    assert f"the backfill 1 is at work and is to run the job `outer` for {DAYS[1]}" in said.err
    for job in ("inner", "outer"):
        plan = dbxdec(project, "backfill", job, "--dry-run")
        assert (plan.code, "0 done, 3 runs to make" in plan.out) == (0, True), plan.err
    os.killpg(started.pid, signal.SIGKILL)
    started.wait(timeout=60)
    wait_for_no_worker(project.root)
    assert dbxdec(project, "backfill", "outer", "--yes").code == 0
    assert rows(project, "landed") == rows(project, "after") == DAYS


@pytest.mark.slow
def test_a_part_by_a_run_of_an_outer_job_is_refused_with_that_run(project: Project) -> None:
    """The outer run can be resumed, and a new run of the inner job would append again."""
    more = JOBS.replace("    land(day)\n", "    land(day)\n    bad(day)\n").replace(
        "@job\ndef inner",
        """
@task(io_manager=lake.table("bad"))
def bad(day: dt.date) -> pl.DataFrame:
    raise ValueError

@job
def inner""",
    )
    define(project, more)
    assert dbxdec(project, "run", "outer", "-p", f"date={DAYS[0]}").code == 1
    said = dbxdec(project, "backfill", "inner", f"day={DAYS[0]}", "--yes")
    assert said.code == 2, said.out
    (run,) = ledger.runs(project.root, "outer")
    assert f"`dbxdec run outer --resume {run.id}`" in said.err


@pytest.mark.slow
def test_a_backfill_killed_before_a_job_inside_ran_goes_on_with_it(project: Project) -> None:
    """The day's own tables are there, and the rows of the inner job are not: the day is no done one."""
    define(
        project, JOBS.replace("    run = inner(date)\n    after(date).after(run)", "    inner(date).after(after(date))")
    )
    (project.root / "hang").touch()
    started = subprocess.Popen([*DBXDEC, "backfill", "outer", "--yes"], cwd=project.root, start_new_session=True)
    wait_for(project.root / "hanging")
    (project.root / "hang").unlink()
    os.killpg(started.pid, signal.SIGKILL)
    started.wait(timeout=60)
    wait_for_no_worker(project.root)
    assert "1 done key has a run here that ended before" in dbxdec(project, "backfill", "outer", "--dry-run").out
    said = dbxdec(project, "backfill", "outer", "--yes")
    assert (said.code, f"{DAYS[0]}  resumed, success" in said.out) == (0, True), said.out + said.err
    assert rows(project, "landed") == rows(project, "after") == DAYS


@pytest.mark.slow
def test_a_resumed_run_does_not_append_what_a_job_inside_has_appended_since(project: Project) -> None:
    """The outer run ended before the inner job began, and a person has run that for the day by itself."""
    fails = JOBS.replace(
        "    run = inner(date)\n    after(date).after(run)", "    inner(date).after(small(after(date)))"
    )
    fails = fails.replace(
        "@job\ndef inner",
        "@task\ndef small(after: pl.DataFrame) -> None:\n"
        '    if os.environ.get("BROKEN"):\n        raise ValueError\n\n@job\ndef inner',
        1,
    )
    define(project, fails)
    assert dbxdec(project, "backfill", "outer", f"date={DAYS[0]}", "--yes", BROKEN="1").code == 1
    assert dbxdec(project, "backfill", "inner", f"day={DAYS[0]}", "--yes").code == 0
    said = dbxdec(project, "backfill", "outer", f"date={DAYS[0]}", "--yes")
    assert (said.code, "0 runs to make" in said.out) == (0, True), said.out + said.err
    assert f"landed of the job `inner`, which `outer` runs, has `{DAYS[0]}` already" in said.err
    assert dbxdec(project, "backfill", "outer", f"date={DAYS[0]}", "--again", "failed", "--yes").code == 2
    assert rows(project, "landed") == DAYS[:1]


MONTHS = """
from dbxdec import monthly

@task(io_manager=lake.table("months", mode="overwrite", partition_by="month"))
def total(month: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"month": [month], "n": [1]})

@job
def months(month: dt.date = monthly(since=dt.date(2024, 1, 1), until=dt.date(2024, 3, 1))) -> None:
    total(month)
    inner(DAY)
"""


@pytest.mark.slow
@pytest.mark.parametrize("day", ["", "dt.date(2024, 1, 1)"])
def test_runs_that_run_another_job_for_one_and_the_same_key_are_refused(project: Project, day: str) -> None:
    """Each of them would append the last day that was due, or one that the job names, once more."""
    define(project, JOBS + MONTHS.replace("DAY", day))
    said = dbxdec(project, "backfill", "months", "--yes")
    assert said.code == 2, said.out
    last = "2024-01-01" if day else DAYS[2]
    assert f"several runs of `months` run the job `inner` for `{last}`, and each appends it to lake/landed" in said.err
    assert dbxdec(project, "backfill", "months", "month=2024-01-01", "--yes").code == 0
    said = dbxdec(project, "backfill", "months", "month=2024-02-01", "--yes")
    assert (said.code, f"has `{last}` already" in said.err) == (2, True), said.out
    assert len(rows(project, "landed")) == 1
    assert dbxdec(project, "backfill", "months", "--again", "partial", "--yes").code == 0
    assert len(rows(project, "landed")) == 3
