"""`dbxdec backfill` where other commands have run its keys, and where the record of a run and the tables disagree."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import polars as pl
import pytest

from projects import Project
from running import Said, dbxdec, define, empty, wait_for
from terminals import CTRL_C, Terminal

FIRST = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=3)
DAYS = [str(FIRST + dt.timedelta(days=n)) for n in range(3)]
JOB = f"""
import datetime as dt
from dbxdec import daily

def fail(name: str) -> None:
    if name in os.environ.get("BROKEN", "").split():
        raise ValueError("on purpose")

@task(io_manager=lake.table("one"))
def one(day: dt.date) -> pl.DataFrame | None:
    fail("one")
    return None if "NONE" in os.environ else pl.DataFrame({{"day": [day]}})

@task(io_manager=lake.table("two"))
def two(day: dt.date) -> pl.DataFrame:
    fail("two")
    return pl.DataFrame({{"day": [day]}})

@task(io_manager=lake.table("three"))
def three(day: dt.date) -> pl.DataFrame:
    fail("three")
    return pl.DataFrame({{"day": [day]}})

@job
def delays(day: dt.date = daily(since=dt.date.fromisoformat("{FIRST}"))) -> None:
    one(day)
    two(day)
    three(day)
"""
ONE = f"day={DAYS[0]}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = empty(tmp_path / "repository")
    define(project, JOB)
    return project


def fill(project: Project, *arguments: str, **environment: str) -> Said:
    return dbxdec(project, "backfill", "delays", *arguments, **environment)


def run(project: Project, *tasks: str, **environment: str) -> Said:
    """A run of some tasks for the first day."""
    asked = [text for task in tasks for text in ("--task", task)]
    return dbxdec(project, "run", "delays", "-p", ONE, *asked, **environment)


def rows(project: Project, table: str) -> list[str]:
    """The days that a table has, with those that it has twice."""
    (place,) = {path.parent.parent for path in project.root.rglob(f"{table}/_delta_log/0*.json")}
    return sorted(map(str, pl.read_delta(str(place))["day"]))


def all_rows(project: Project) -> list[list[str]]:
    return [rows(project, table) for table in ("one", "two", "three")]


@pytest.mark.slow
def test_a_run_of_one_task_is_not_resumed_for_a_whole_day(project: Project) -> None:
    """The day would be called a success with the rows of one table."""
    assert run(project, "two", BROKEN="two").code == 1
    said = fill(project, ONE, "--yes")
    assert (said.code, "resumed" in said.out) == (0, False), said.out + said.err
    assert all_rows(project) == 3 * [DAYS[:1]]


@pytest.mark.slow
def test_a_run_of_one_task_that_has_stored_nothing_hides_no_older_run(project: Project) -> None:
    """A person has tried the failed task alone: the whole run is resumed, and appends nothing again."""
    assert run(project, BROKEN="two three").code == 1
    assert run(project, "two", BROKEN="two").code == 1
    said = fill(project, ONE, "--yes")
    assert (said.code, "resumed, success" in said.out) == (0, True), said.out + said.err
    assert all_rows(project) == 3 * [DAYS[:1]]


@pytest.mark.slow
def test_a_run_of_some_tasks_that_has_stored_something_lets_nothing_be_resumed(project: Project) -> None:
    """The older whole run would append the same again: the day is refused by name."""
    assert run(project, BROKEN="two three").code == 1
    assert run(project, "two", "three", BROKEN="three").code == 1
    said = fill(project, ONE, "--yes")
    assert (said.code, "a new run would append it again" in said.err) == (2, True), said.out + said.err


@pytest.mark.slow
def test_a_day_whose_tables_were_deleted_is_run_anew(project: Project) -> None:
    """The record of its failed run says that they have it."""
    assert fill(project, ONE, "--yes", BROKEN="three").code == 1
    for table in ("one", "two"):
        (log,) = project.root.rglob(f"{table}/_delta_log")
        shutil.rmtree(log.parent)
    said = fill(project, ONE, "--yes")
    assert (said.code, "resumed" in said.out) == (0, False), said.out + said.err
    assert "1 of 1 key done" in said.out
    assert all_rows(project) == 3 * [DAYS[:1]]


@pytest.mark.slow
def test_a_task_that_had_no_rows_for_a_table_has_lost_none(project: Project) -> None:
    """It has returned None, so there is no table: its run is resumed."""
    assert fill(project, ONE, "--yes", BROKEN="three", NONE="1").code == 1
    said = fill(project, ONE, "--yes", NONE="1")
    assert (said.code, "resumed, success" in said.out) == (0, True), said.out + said.err
    assert (rows(project, "two"), rows(project, "three")) == (DAYS[:1], DAYS[:1])


@pytest.mark.slow
def test_a_failed_run_of_a_key_with_another_name_now_is_not_resumed(project: Project) -> None:
    """What it has appended is refused by name; a day of which nothing is there is run."""
    assert fill(project, ONE, "--yes", BROKEN="one two three").code == 1
    assert fill(project, f"day={DAYS[1]}", "--yes", BROKEN="three").code == 1
    changed = JOB.replace("def delays(day:", "def delays(date:").replace('"))) -> None', '"), was="day")) -> None')
    define(
        project,
        changed.replace("    one(day)\n    two(day)\n    three(day)", "    one(date)\n    two(date)\n    three(date)"),
    )
    said = fill(project, f"date={DAYS[0]}", "--yes")
    assert (said.code, "1/1" in said.out) == (0, True), said.out + said.err
    said = fill(project, f"date={DAYS[1]}", "--yes")
    assert (said.code, "a new run would append it again" in said.err) == (2, True), said.out + said.err
    assert "Traceback" not in said.err


@pytest.mark.slow
def test_a_run_that_has_succeeded_counts_where_the_record_of_the_backfill_is_torn(project: Project) -> None:
    """It was killed between the end of the run and the line that says so: the day is not run a third time."""
    both = f"day={DAYS[0]},{DAYS[1]}"
    assert fill(project, both, "--yes").code == 0
    assert fill(project, both, "--again", "all", "--yes").code == 0
    record = project.root / ".dbxdec/backfills/2.jsonl"
    began, first, *_ = record.read_text().splitlines(keepends=True)
    record.write_text(began + first[:20])
    assert "0 runs to make" in dbxdec(project, "backfills", "resume", "2", "--yes").out
    assert all_rows(project) == 3 * [sorted(2 * DAYS[:2])]


@pytest.mark.slow
def test_a_plan_says_which_tables_will_have_rows_twice(project: Project) -> None:
    """`--again all` appends done days again; a run that is resumed does not."""
    assert fill(project, ONE, "--yes").code == 0
    plan = fill(project, ONE, "--again", "all", "--dry-run").out
    assert "lake/one appends: it will have the rows of 1 key twice, unless you delete them first" in plan
    assert fill(project, ONE, "--again", "all", "--yes", BROKEN="three").code == 1
    plan = dbxdec(project, "backfills", "resume").out
    assert "1 run of them is resumed" in plan
    assert "--again failed" not in plan
    assert "appends" not in plan


@pytest.mark.slow
def test_ctrl_c_before_the_plan_of_a_resumed_backfill_is_an_interrupt(project: Project) -> None:
    """As of `dbxdec backfill` itself: the exit code is 130."""
    assert fill(project, ONE, "--yes", BROKEN="one").code == 1
    reading = project.root / "reading"
    define(project, JOB + f"\nPath({str(reading)!r}).touch()\ntime.sleep(30)\n")
    terminal = Terminal(project, "backfills", "resume", "--yes")
    wait_for(reading)
    terminal.type(CTRL_C)
    assert terminal.ended() == 130, terminal.shown
    assert "Aborted" not in terminal.shown


@pytest.mark.slow
def test_a_part_is_refused_with_the_run_that_can_be_resumed(project: Project) -> None:
    """The whole command where there is such a run, and nothing of it where there is none."""
    assert fill(project, ONE, "--yes", BROKEN="three").code == 1
    (events,) = project.root.glob(".dbxdec/runs/*/events.jsonl")
    started, *others = events.read_text().splitlines(keepends=True)
    events.write_text("".join([started, "damaged\n", *others]))
    said = fill(project, ONE, "--yes")
    assert f"`dbxdec run delays --resume {events.parent.name}`" in said.err
    assert "`dbxdec keys mark delays KEY=A..B`" in said.err
    shutil.rmtree(events.parent)
    said = fill(project, ONE, "--yes")
    assert (said.code, "--resume" in said.err) == (2, False), said.err


@pytest.mark.slow
def test_a_run_that_ctrl_c_has_ended_is_cancelled_and_not_failed(project: Project) -> None:
    """Its line, the calendar and the last line say the same."""
    hanging = project.root / "hanging"
    define(project, JOB.replace('fail("three")', f"Path({str(hanging)!r}).touch(); time.sleep(60)"))
    terminal = Terminal(project, "backfill", "delays", ONE, "--yes")
    wait_for(hanging)
    terminal.type(CTRL_C)
    assert terminal.ended() == 130
    assert f"{DAYS[0]}  cancelled" in terminal.shown
    assert "0 of 1 key done, 1 run cancelled" in terminal.shown
    assert "failed" not in terminal.shown.replace("x failed", "")


@pytest.mark.slow
def test_the_arguments_of_a_backfill_are_shown_as_a_shell_takes_them(project: Project) -> None:
    """One with a space is one argument."""
    define(project, JOB.replace("delays(day:", "delays(text: str, day:"))
    fill(project, ONE, "-p", "text=a b", "--yes")
    shown = dbxdec(project, "backfills", "1").out
    assert f"dbxdec backfill delays {ONE} -p 'text=a b'\n" in shown
