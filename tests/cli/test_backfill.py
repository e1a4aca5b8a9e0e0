"""`dbxdec backfill`: the keys that are missing, each once, whatever ended an earlier backfill."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from dbxdec.errors import SourceLocation
from dbxdec.local import backfill
from dbxdec.local.alone import alone
from dbxdec.local.missing import Keys
from dbxdec.model.dag import Job, JobParameter
from dbxdec.model.keys import Periods
from dbxdec.model.values import ValueType
from projects import Project
from running import DBXDEC, Said, dbxdec, define, empty, wait_for, wait_for_no_worker
from terminals import Terminal

FIRST = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=4)
DAYS = [str(FIRST + dt.timedelta(days=n)) for n in range(4)]
JOB = f"""
import datetime as dt
from typing import Literal
from dbxdec import daily, key

@task(io_manager=lake)
def bronze(day: dt.date) -> pl.DataFrame:
    with open("ran", "a") as file:
        file.write(f"{{day}}\\n")
    return pl.DataFrame({{"day": [day], "n": [1]}})

@task(io_manager=lake.table("gold", mode="overwrite", partition_by="day"))
def gold(bronze: pl.DataFrame, day: dt.date) -> pl.DataFrame:
    if os.path.exists("hang"):
        Path("hanging").touch()
        time.sleep(60)
    if str(day) in os.environ.get("BROKEN", ""):
        raise ValueError("on purpose")
    return bronze

@job
def delays(day: dt.date = daily(since=dt.date.fromisoformat("{FIRST}")), scale: int = 1) -> None:
    gold(bronze(day), day)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = empty(tmp_path / "repository")
    define(project, JOB)
    return project


def fill(project: Project, *arguments: str, **environment: str) -> Said:
    return dbxdec(project, "backfill", "delays", *arguments, **environment)


def rows(project: Project, table: str) -> list[str]:
    """The days that a table has, with those that it has twice."""
    (place,) = {path.parent.parent for path in project.root.rglob(f"{table}/_delta_log/0*.json")}
    return sorted(map(str, pl.read_delta(str(place))["day"]))


@pytest.mark.slow
def test_what_is_missing_is_run_once_and_the_calendar_shows_it(project: Project) -> None:
    """A day that is done is left alone; the same command then has nothing to do."""
    assert dbxdec(project, "run", "delays", "-p", f"day={DAYS[1]}").code == 0
    said = fill(project, "--yes")
    assert said.code == 0, said.err
    assert "1 done, 3 runs to make" in said.out
    assert f"1/3  {DAYS[0]}  success" in said.out
    assert "4 of 4 keys done" in said.out
    assert rows(project, "bronze") == rows(project, "gold") == DAYS
    again = fill(project)
    assert (again.code, "4 done, 0 runs to make" in again.out) == (0, True)


@pytest.mark.slow
def test_nothing_runs_without_an_answer(project: Project) -> None:
    """Without a terminal the plan is shown, and it says how to agree; a dry run is a success."""
    said = fill(project)
    assert (said.code, f"missing  {DAYS[0]} to {DAYS[3]} (4)" in said.out) == (2, True)
    assert "`--yes` agrees to the plan" in said.err
    assert fill(project, f"day={DAYS[1]}..", "--dry-run").code == 0
    assert not (project.root / "ran").exists()


def test_a_broken_day_costs_no_other_and_is_resumed_without_a_row_twice(project: Project) -> None:
    """Its first table is there: the run is resumed, so that nothing is appended again."""
    said = fill(project, "--yes", BROKEN=DAYS[1])
    assert said.code == 1
    assert "ValueError: on purpose" in said.out
    assert "3 of 4 keys done" in said.out
    assert "x" in said.out.rpartition("# done")[0].rpartition("\n\n")[2]
    again = fill(project, "--yes")
    assert (again.code, f"1/1  {DAYS[1]}  resumed, success" in again.out) == (0, True)
    assert rows(project, "bronze") == rows(project, "gold") == DAYS


@pytest.mark.slow
def test_a_part_that_nobody_can_resume_is_refused_by_name(project: Project) -> None:
    """Its run is gone: a new one would append the day again. With `--again partial` a person wants just that."""
    assert fill(project, f"day={DAYS[1]}", "--yes", BROKEN=DAYS[1]).code == 1
    for folder in (project.root / ".dbxdec/runs").iterdir():
        folder.rename(project.root / f"gone-{folder.name}")
    said = fill(project, "--yes")
    assert said.code == 2
    assert f"{DAYS[1]} is in " in said.err
    assert "a new run would append it again" in said.err
    assert fill(project, "--again", "partial", "--yes").code == 0
    assert rows(project, "bronze") == sorted([*DAYS, DAYS[1]])


EACH = """
import datetime as dt
from enum import Enum
from dbxdec import daily, key

class Color(Enum):
    RED = "r"
    BLUE = "b"

@task(io_manager=lake.table("rows", shared=True))
def one(item: str, day: dt.date) -> pl.DataFrame:
    if item == "b" and str(day) in os.environ.get("BROKEN", ""):
        raise ValueError("on purpose")
    return pl.DataFrame({"day": [day], "item": [item]})

@task(io_manager=lake.table("rows", shared=True))
def other(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day], "item": ["other"]})

@job
def delays(day: dt.date = daily(since=dt.date.fromisoformat("FIRST")), color: Color = key(Color.RED)) -> None:
    one(each(["a", "b"]), day)
    other(day)
""".replace("FIRST", DAYS[2])


@pytest.mark.slow
def test_iterations_of_a_broken_day_are_resumed_and_each_writer_counts(project: Project) -> None:
    """The items that went well are not appended again; a table that tasks share tells of each of them."""
    define(project, EACH)
    assert fill(project, "color=RED", "--yes", BROKEN=DAYS[2]).code == 1
    found = dbxdec(project, "missing", "--json").out
    assert '"partial"' in found
    assert "rows by one" in found
    assert "rows by other" in found
    again = fill(project, "--yes")
    assert (again.code, "resumed, success" in again.out) == (0, True), again.err
    expected = sorted(3 * [DAYS[2]] + 3 * [DAYS[3]])
    assert rows(project, "rows") == sorted(2 * expected)  # of two colours


MORE = """
from dbxdec import condition

@task
def small() -> int:
    return 1

@task(io_manager=lake.table("branch"))
def branch(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day]})

@job
def child(day: dt.date) -> None:
    branch.override(key="inner", io_manager=lake.table("inner"))(day)

@job
def delays(day: dt.date = daily(since=dt.date.fromisoformat("FIRST"), until=dt.date.fromisoformat("LAST"))) -> None:
    inner = child(day)
    chosen = condition(small(), ">", 0)
    below = branch(day)
    chosen.then(below)
    bronze(day).after(below, inner)
"""


@pytest.mark.slow
def test_what_the_tables_of_a_job_do_not_tell_is_not_appended_again(project: Project) -> None:
    """Rows below a branch, and of a job that it runs: the run is resumed, though no table has the day."""
    tasks, _, _ = JOB.partition("@job")
    fails = '    if str(day) in os.environ.get("BROKEN", ""):\n        raise ValueError\n'
    wiring = MORE.replace("FIRST", DAYS[0]).replace("LAST", DAYS[1])
    define(project, tasks.replace("    with open", f"{fails}    with open") + wiring)
    assert fill(project, "--yes", BROKEN=DAYS[0]).code == 1
    again = fill(project, f"day={DAYS[0]}..", "--yes")  # and not beyond `until`
    assert (again.code, "1 done, 1 run to make" in again.out) == (0, True), again.err
    assert rows(project, "branch") == rows(project, "inner") == rows(project, "bronze") == DAYS[:2]


@pytest.mark.slow
def test_a_run_by_default_is_resumed_as_the_day_that_it_was_for(project: Project) -> None:
    """Nobody has given it the day."""
    assert dbxdec(project, "run", "delays", BROKEN=DAYS[3]).code == 1
    said = fill(project, f"day={DAYS[3]}", "--yes")
    assert (said.code, f"{DAYS[3]}  resumed, success" in said.out) == (0, True), said.err
    assert rows(project, "bronze") == DAYS[3:]


@pytest.mark.slow
def test_a_run_at_work_is_waited_for(project: Project) -> None:
    """`dbxdec run` of a day and a backfill would both write it."""
    (project.root / "hang").touch()
    started = subprocess.Popen([*DBXDEC, "run", "delays", "-p", f"day={DAYS[3]}"], cwd=project.root)
    wait_for(project.root / "hanging")
    said = fill(project, "--yes")
    assert (said.code, f"for {DAYS[3]} is at work" in said.err) == (2, True)
    started.send_signal(signal.SIGINT)
    started.wait(timeout=60)


@pytest.mark.slow
def test_a_run_that_can_not_be_resumed_costs_no_other_day(project: Project) -> None:
    """It had another value of a parameter."""
    assert fill(project, f"day={DAYS[0]}", "--yes", BROKEN=DAYS[0]).code == 1
    said = fill(project, "-p", "scale=3", "--yes")
    assert said.code == 1
    assert "the run to resume had other values of the parameter `scale`" in said.out
    assert "3 of 4 keys done" in said.out


@pytest.mark.slow
def test_rows_of_before_the_keys_are_not_added_to(project: Project) -> None:
    """The table may have all these days already."""
    define(project, JOB.replace("daily(since=dt.date.fromisoformat", "(dt.date.fromisoformat"))
    assert dbxdec(project, "run", "delays").code == 0
    define(project, JOB)
    said = fill(project, "--yes")
    assert said.code == 2
    assert "has rows of which no log says the keys: of runs before the job had keys" in said.err
    assert rows(project, "bronze") == DAYS[:1]


def test_a_killed_backfill_goes_on_where_it_was(project: Project) -> None:
    """With kill -9 in the middle of a day: every day is there once."""
    (project.root / "hang").touch()
    started = subprocess.Popen([*DBXDEC, "backfill", "delays", "--yes"], cwd=project.root, start_new_session=True)
    wait_for(project.root / "hanging")
    other = fill(project, "--yes")
    assert (other.code, "another backfill of the job `delays` is at work here" in other.err) == (2, True)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    (project.root / "hang").unlink()
    wait_for_no_worker(project.root)
    said = fill(project, "--yes")
    assert (said.code, "resumed, success" in said.out) == (0, True), said.err + said.out
    assert rows(project, "bronze") == rows(project, "gold") == DAYS


@pytest.mark.slow
def test_ctrl_c_ends_it_after_the_task(project: Project) -> None:
    """The exit code is the one of an interrupt; no further day is begun."""
    (project.root / "hang").touch()
    started = subprocess.Popen([*DBXDEC, "backfill", "delays", "--yes"], cwd=project.root)
    wait_for(project.root / "hanging")
    started.send_signal(signal.SIGINT)
    assert started.wait(timeout=60) == 130
    assert (project.root / "ran").read_text().split() == DAYS[:1]


@pytest.mark.slow
def test_a_job_without_keys_is_run_for_the_values_that_are_given(project: Project) -> None:
    """The plan says that nothing tells what is there; a run that has failed is resumed, and a backfill goes on."""
    define(project, JOB.replace(f'daily(since=dt.date.fromisoformat("{FIRST}"))', "dt.date(2024, 1, 1)"))
    said = fill(project)
    assert (said.code, "`day=2024-01-01..2024-01-31`" in said.err) == (2, True), said.err
    said = fill(project, "day=2024-01-30", "-p", "day=2024-01-31")
    assert "`day` is given twice: `day=2024-01-30` and `-p day=2024-01-31`" in said.err
    said = fill(project, "day=2024-01-30..2024-02-01", "--yes", BROKEN="2024-01-31")
    assert said.code == 1
    assert "given    2024-01-30 to 2024-02-01 (3)" in said.out
    assert "`bronze` appends: of a value for which it has run before, rows are there twice" in said.out
    assert "2 of 3 keys done, 1 run failed" in said.out
    said = dbxdec(project, "backfills", "resume", "1", "--yes")
    assert (said.code, "1/1  2024-01-31  resumed, success" in said.out) == (0, True), said.out + said.err
    assert rows(project, "bronze") == rows(project, "gold") == ["2024-01-30", "2024-01-31", "2024-02-01"]
    assert fill(project, "day=2024-01-30", "--yes").code == 0
    assert rows(project, "bronze") == ["2024-01-30", "2024-01-30", "2024-01-31", "2024-02-01"]


@pytest.mark.slow
def test_a_run_for_other_parameters_is_another_one_where_a_job_has_no_keys(project: Project) -> None:
    """It is neither resumed nor counted: any parameter may say what a run is for, also one that no key is made of."""
    define(project, JOB.replace(f'daily(since=dt.date.fromisoformat("{FIRST}"))', "dt.date(2024, 1, 1)"))
    wanted = ("day=2024-01-30", "--yes")
    assert dbxdec(project, "run", "delays", "-p", "day=2024-01-30", "-p", "scale=2", BROKEN="2024-01-30").code == 1
    wait_for_no_worker(project.root)
    assert "1 run of them is resumed" in fill(project, *wanted, "-p", "scale=02", "--dry-run").out
    said = fill(project, *wanted, BROKEN="2024-01-30")
    assert (said.code, "resumed" in said.out) == (1, False), said.out + said.err
    assert dbxdec(project, "run", "delays", "-p", "day=2024-01-30", "-p", "scale=3").code == 0
    said = dbxdec(project, "backfills", "resume", "1", "--yes")
    assert (said.code, "1/1  2024-01-30  resumed, success" in said.out) == (0, True)


@pytest.mark.slow
def test_a_table_that_each_run_replaces_ends_with_the_newest_day(project: Project) -> None:
    """A plan that would leave January there is refused, newest first too."""
    define(project, JOB.replace('mode="overwrite", partition_by="day"', 'mode="overwrite"'))
    assert dbxdec(project, "run", "delays", "-p", f"day={DAYS[2]}").code == 0
    said = fill(project, f"day={DAYS[0]}..{DAYS[1]}", "--yes")
    assert said.code == 2
    assert f"so it would end with the rows of {DAYS[1]}, and not with those of {DAYS[2]}" in said.err
    said = fill(project, "--newest-first", "--yes")
    assert (said.code, "without `--newest-first`" in said.err) == (2, True)
    assert fill(project, f"day={DAYS[0]},{DAYS[3]}", "--yes").code == 0


WRONG = {
    "a key as a parameter": (["-p", "day=2024-01-01"], "`day` is a key: write `day=2024-01-01` without -p"),
    "a misspelt parameter": (["-p", "scael=2"], "did you mean `scale`?"),
    "a parameter of another type": (["-p", "scale=x"], "not of the type int"),
    "no key": (["scale=3"], "`scale` is no key of the job `delays`"),
    "a misspelt key": (["dya=2024-01-01"], "`dya` is no key of the job `delays`"),
    "no form": (["2024-01-01"], "is not of the form KEY=A..B or KEY=A,B"),
    "twice, once wrong": (["day=2999-01-01", f"day={DAYS[0]}"], "day=2999-01-01 has 2999-01-01, which is not due"),
    "no date": (["day=january.."], "has 'january', which is no date"),
    "no beginning": (["day=..2024-01-01"], "has no beginning"),
    "the future": (["day=2999-01-01"], "is not due; the last one is"),
    "all in the future": (["day=2999-01-01.."], "has no key that is due"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
@pytest.mark.sampled(3)
def test_a_wrong_selection_says_what_to_write(project: Project, arguments: list[str], said: str) -> None:
    """Before anything runs."""
    found = fill(project, *arguments, "--yes")
    assert found.code == 2
    assert said in found.err
    assert not (project.root / "ran").exists()


def test_a_misspelt_parameter_is_refused_where_there_is_no_run_to_make(project: Project) -> None:
    """As where there is one: the same command is typed again and again."""
    before = FIRST - dt.timedelta(days=1)
    found = fill(project, f"day={before}", "-p", "scael=2", "--yes")
    assert (found.code, found.out, "did you mean `scale`?" in found.err) == (2, "", True), found.err


@pytest.mark.slow
def test_days_that_there_should_not_be_are_named_in_the_plan(project: Project) -> None:
    """Before `since`, after `until`, and not due yet."""
    define(project, JOB.replace(f'("{FIRST}"))', f'("{FIRST}"), until=dt.date.fromisoformat("{DAYS[2]}"))'))
    before = FIRST - dt.timedelta(days=1)
    said = fill(project, f"day={before}..{DAYS[3]}", "--dry-run")
    assert (said.code, f"missing  {DAYS[0]} to {DAYS[2]} (3)" in said.out) == (0, True), said.out + said.err
    assert f"left out day={before}: its keys begin with {DAYS[0]} (`since`)" in said.out
    assert f"left out day={DAYS[3]}: its keys end with {DAYS[2]} (`until`)" in said.out
    said = fill(project, f"day={before}", "--yes")
    assert (said.code, "0 runs to make" in said.out) == (0, True), said.out + said.err
    define(project, JOB)
    later = FIRST + dt.timedelta(days=9)
    said = fill(project, f"day={DAYS[3]}..{later}", "--dry-run")
    assert f"left out day={FIRST + dt.timedelta(days=4)}..{later}: the last one that is due is {DAYS[3]}" in said.out


@pytest.mark.parametrize(
    ("path", "why"), [("file/report.html", "Not a directory"), ("/proc/nowhere/report.html", "No such file")]
)
def test_a_report_that_can_not_be_written_is_said_before_anything_runs(project: Project, path: str, why: str) -> None:
    """Not after hours of runs."""
    project.write("file", "")
    said = fill(project, "--yes", "--report", path)
    assert (said.code, "the report can't be written to" in said.err, why in said.err) == (2, True, True), said.err
    assert not (project.root / "ran").exists()


@pytest.mark.slow
def test_a_tried_report_leaves_nothing_behind(project: Project) -> None:
    """A plan that nobody has agreed to writes no file."""
    assert fill(project, "--report", "new/report.html").code == 2
    assert not list(project.root.glob("**/*report.html*"))


def test_two_backfills_of_other_jobs_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """A lock is of one job."""
    (tmp_path / ".dbxdec").mkdir()
    with alone(tmp_path, "one"), alone(tmp_path, "other"):
        pass


@pytest.mark.slow
def test_all_keys_are_run_by_the_same_processes(project: Project) -> None:
    """A process is started once, and imports Polars once."""
    define(
        project,
        JOB.replace("        file.write", "        print(os.getpid(), file=open('pids', 'a'))\n        file.write"),
    )
    assert fill(project, "--yes", "-j", "1").code == 0
    pids = (project.root / "pids").read_text().split()
    assert (len(pids), len(set(pids))) == (4, 1)


MEETING = f"""
import datetime as dt
from dbxdec import daily

@task(io_manager=lake)
def bronze(day: dt.date) -> pl.DataFrame:
    Path(f"here-{{day}}").touch()
    while len(list(Path().glob("here-*"))) < 2:
        time.sleep(0.01)
    return pl.DataFrame({{"day": [day]}})

@job
def delays(day: dt.date = daily(since=dt.date.fromisoformat("{FIRST}"))) -> None:
    bronze(day)
"""


def test_several_keys_run_at_once(project: Project) -> None:
    """The first two days wait for each other, and would wait forever one after another."""
    define(project, MEETING)
    said = fill(project, "--yes", "--keys-at-once", "2", "-j", "2")
    assert said.code == 0, said.err + said.out
    assert rows(project, "bronze") == DAYS


@pytest.mark.slow
def test_a_table_that_is_replaced_as_a_whole_gets_one_key_at_a_time(project: Project) -> None:
    """In the order of the keys, so it ends with the newest one."""
    define(project, JOB.replace(', mode="overwrite", partition_by="day"', ', mode="overwrite"'))
    said = fill(project, "--yes", "--keys-at-once", "3")
    assert said.code == 0, said.err + said.out
    assert "one key at a time: each run replaces the whole of `lake/gold`" in said.err
    assert rows(project, "gold") == DAYS[-1:]


MERGING = f"""
import datetime as dt
from dbxdec import daily, DeltaMerge

@task(io_manager=lake.table("gold", mode="append"))
def gold(day: dt.date) -> DeltaMerge:
    os.mkdir("inside")
    time.sleep(0.1)
    os.rmdir("inside")
    return DeltaMerge(pl.DataFrame({{"day": [day]}}), on="day").when_not_matched_insert_all()

@job
def delays(day: dt.date = daily(since=dt.date.fromisoformat("{FIRST}"))) -> None:
    gold(day)
"""


@pytest.mark.slow
def test_merges_of_several_keys_into_one_table_wait_for_each_other(project: Project) -> None:
    """Two at once would conflict, and one of them would do its work again."""
    define(project, MERGING)
    said = fill(project, "--yes", "--keys-at-once", "4", "-j", "4")
    assert said.code == 0, said.err + said.out
    assert rows(project, "gold") == DAYS


@pytest.mark.slow
def test_a_distance_between_keys_takes_only_some_of_them(project: Project) -> None:
    """From the first one that was asked for; a wrong distance says how to write one."""
    said = fill(project, f"day={DAYS[1]}..", "--every", "2d", "--dry-run")
    assert f"missing  {DAYS[1]}, {DAYS[3]}" in said.out, said.err
    assert "write `12h`, `2d`, `1w` or `1m`" in fill(project, "--every", "day", "--dry-run").err


FAILING = JOB.replace(
    "@job",
    """
@task
def told(gold: pl.DataFrame) -> None:
    if os.environ.get("MUTE"):
        raise ValueError("on purpose")

@job""",
).replace("    gold(bronze(day), day)", "    told(gold(bronze(day), day))")


@pytest.mark.slow
def test_done_keys_whose_run_has_failed_can_be_asked_for(project: Project) -> None:
    """Their data is there, so they are not missing; the run is resumed, and writes nothing again."""
    define(project, FAILING)
    said = fill(project, "--yes", MUTE="1")
    assert (said.code, "4 done keys have a run that has not succeeded" in said.out) == (1, True), said.out
    assert fill(project, "--yes").out.startswith("delays  4 done, 0 runs")
    said = fill(project, "--yes", "--again", "failed")
    assert (said.code, said.out.count("resumed, success")) == (0, 4), said.out + said.err
    assert rows(project, "gold") == DAYS
    assert fill(project, "--yes", "--again", "failed").out.startswith("delays  4 done, 0 runs")


@pytest.mark.slow
def test_backfills_are_listed_with_their_keys(project: Project) -> None:
    """By number, with how each run has ended; `--json` is for programs."""
    assert "makes one" in dbxdec(project, "backfills").err
    assert fill(project, f"day={DAYS[0]},{DAYS[1]}", "--yes", BROKEN=DAYS[1]).code == 1
    listed = dbxdec(project, "backfills").out
    assert re.search(r"1 +delays +failed +.* 1/2$", listed, re.MULTILINE), listed
    shown = dbxdec(project, "backfills", "1").out
    assert f"dbxdec backfill delays day={DAYS[0]},{DAYS[1]}" in shown
    assert re.search(rf"{DAYS[0]} +success", shown)
    (form,) = json.loads(dbxdec(project, "backfills", "--json").out)
    assert [(key["day"], key["state"]) for key in form["keys"]] == [(DAYS[0], "success"), (DAYS[1], "failed")]
    assert "those kept are up to 1" in dbxdec(project, "backfills", "7").err


@pytest.mark.slow
def test_a_backfill_goes_on_by_its_number(project: Project) -> None:
    """The same command, without what it has done, even where it runs done keys again."""
    assert fill(project, "--yes").code == 0
    ran = (project.root / "ran").read_text().count("\n")
    assert fill(project, "--again", "all", "--yes", BROKEN=DAYS[2]).code == 1
    said = dbxdec(project, "backfills", "resume", "2", "--yes")
    assert said.code == 0, said.err + said.out
    assert f"1/1  {DAYS[2]}" in said.out
    assert (project.root / "ran").read_text().count("\n") - ran == 4  # the run of the broken day is resumed
    assert "success" in dbxdec(project, "backfills", "2").out.splitlines()[0]


@pytest.mark.slow
def test_a_backfill_is_stopped_by_its_number(project: Project) -> None:
    """As by Ctrl-C: the run at work is interrupted, and no other begins."""
    (project.root / "hang").touch()
    started = subprocess.Popen([*DBXDEC, "backfill", "delays", "--yes"], cwd=project.root, start_new_session=True)
    wait_for(project.root / "hanging")
    assert "running" in dbxdec(project, "backfills").out
    assert "is told to stop" in dbxdec(project, "backfills", "cancel").err
    assert started.wait() == 130
    assert "cancelled" in dbxdec(project, "backfills", "last").out.splitlines()[0]
    assert "is not at work" in dbxdec(project, "backfills", "cancel", "1").err


@pytest.mark.slow
def test_the_report_has_the_calendar_and_the_runs(project: Project, tmp_path: Path) -> None:
    """One HTML file, which replaces only an earlier report."""
    page = tmp_path / "out" / "days.html"
    assert fill(project, "--yes", "--report", str(page), BROKEN=DAYS[1]).code == 1
    html = page.read_text()
    assert "delays: 3 of 4 keys done" in html
    assert '<span class="bad" title="failed">x</span>' in html
    assert f"<td>{DAYS[0]}</td><td>success</td>" in html
    assert fill(project, "--yes", "--report", str(page)).code == 0
    assert "4 of 4" in page.read_text()
    other = tmp_path / "other.html"
    other.write_text("mine")
    refused = fill(project, "--yes", "--report", str(other))
    assert (refused.code, "is no report of a backfill" in refused.err) == (2, True)


ITEMS = f"""
import datetime as dt
from dbxdec import daily, each

@task(io_manager=lake.table("bronze", mode="append"))
def bronze(day: dt.date, part: str) -> pl.DataFrame:
    if part in os.environ.get("BROKEN", ""):
        raise ValueError("on purpose")
    return pl.DataFrame({{"day": [day], "part": [part]}})

@job
def delays(day: dt.date = daily(since=dt.date.fromisoformat("{FIRST}"))) -> None:
    bronze(day, each(["a", "b"]))
"""


@pytest.mark.slow
def test_a_resumed_run_with_other_items_stores_none_twice(project: Project) -> None:
    """It is refused for what was made by another build, as without a key, or the item is kept."""
    define(project, ITEMS)
    assert fill(project, f"day={DAYS[0]}", "--yes", BROKEN="b").code == 1
    define(project, ITEMS.replace('["a", "b"]', '["a", "b", "c"]'))
    fill(project, f"day={DAYS[0]}", "--yes")
    (place,) = {path.parent.parent for path in project.root.rglob("bronze/_delta_log/0*.json")}
    parts = pl.read_delta(str(place))["part"].to_list()
    assert len(parts) == len(set(parts)), parts


@pytest.mark.slow
def test_a_run_whose_task_has_another_name_now_is_not_gone_on_with(project: Project) -> None:
    """It would append the rows of the old name again: the day is refused by name."""
    assert fill(project, f"day={DAYS[1]}", "--yes", BROKEN=DAYS[1]).code == 1
    changed = JOB.replace("def bronze(", "def raw(").replace("gold(bronze(day), day)", "gold(raw(day), day)")
    define(project, changed.replace("@task(io_manager=lake)", '@task(io_manager=lake.table("bronze"))'))
    said = fill(project, "--yes")
    assert (said.code, f"{DAYS[1]} is in " in said.err) == (2, True), said.out + said.err
    assert rows(project, "bronze") == [DAYS[1]]


@pytest.mark.slow
def test_what_was_taken_back_of_a_failed_run_is_run_anew(project: Project) -> None:
    """Its record says that the rows are there, and the table that they are not."""
    assert fill(project, f"day={DAYS[1]}", "--yes", BROKEN=DAYS[1]).code == 1
    (place,) = {path.parent.parent for path in project.root.rglob("bronze/_delta_log/0*.json")}
    DeltaTable(str(place)).delete()
    assert dbxdec(project, "keys", "forget", "delays", f"day={DAYS[1]}", "--yes").code == 0
    said = fill(project, f"day={DAYS[1]}", "--yes")
    assert (said.code, "resumed" in said.out) == (0, False), said.out + said.err
    assert (rows(project, "bronze"), rows(project, "gold")) == ([DAYS[1]], [DAYS[1]])


@pytest.mark.slow
def test_a_day_that_another_command_runs_meanwhile_is_left_to_it(project: Project) -> None:
    """It was run between the plan and the answer."""
    terminal = Terminal(project, "backfill", "delays")
    terminal.wait_for("make 4 runs?")
    assert dbxdec(project, "run", "delays", "-p", f"day={DAYS[3]}").code == 0
    terminal.type("y\n")
    assert terminal.ended() == 0
    assert "which another command has made, has done it" in terminal.shown
    assert rows(project, "bronze").count(DAYS[3]) == 1


@pytest.mark.slow
def test_a_day_of_a_backfill_at_work_is_not_run_beside_it(project: Project) -> None:
    """Both would append it. Days that it has ended, or does not have, are no matter; nor is a killed one."""
    assert fill(project, f"day={DAYS[0]}", "--yes").code == 0
    (project.root / "hang").touch()
    arguments = ["backfill", "delays", f"day={DAYS[1]},{DAYS[3]}", "--yes"]
    started = subprocess.Popen([*DBXDEC, *arguments], cwd=project.root, start_new_session=True)
    wait_for(project.root / "hanging")
    (project.root / "hang").unlink()
    for given in (["-p", f"day={DAYS[3]}", "--fresh"], []):  # the last day is the one by default
        said = dbxdec(project, "run", "delays", *given)
        assert said.code == 2, said.err
        assert f"the backfill 2 is at work and is to run the job `delays` for {DAYS[3]}" in said.err
        assert "`dbxdec backfills cancel 2`" in said.err
    assert not (project.root / ".dbxdec/set_aside").exists()
    assert dbxdec(project, "run", "delays", "-p", f"day={DAYS[2]}").code == 0
    os.killpg(started.pid, signal.SIGKILL)
    started.wait(timeout=60)
    wait_for_no_worker(project.root)
    assert dbxdec(project, "run", "delays", "-p", f"day={DAYS[3]}").code == 0


@pytest.mark.slow
def test_a_backfill_that_goes_on_by_its_number_keeps_the_rules_of_whole_tables(project: Project) -> None:
    """It must not end with the rows of an older day either."""
    define(project, JOB.replace(', mode="overwrite", partition_by="day"', ', mode="overwrite"'))
    assert fill(project, "--yes").code == 0
    assert fill(project, "--again", "all", "--yes", BROKEN=DAYS[1]).code == 1
    said = dbxdec(project, "backfills", "resume", "--yes")
    assert (said.code, "so it would end with the rows of" in said.err) == (2, True), said.out + said.err
    assert rows(project, "gold") == DAYS[-1:]


@pytest.mark.slow
def test_done_days_with_an_unfinished_run_are_said(project: Project) -> None:
    """The tables are full, and something after them has failed."""
    define(project, FAILING)
    assert fill(project, f"day={DAYS[0]}", "--yes", MUTE="1").code == 1
    assert "1 done key has a run that has not succeeded: `--again failed`" in fill(project, "--dry-run").out


@pytest.mark.slow
def test_partial_keys_alone_are_run_anew_by_again_partial(project: Project) -> None:
    """Rows of before the keys, and runs of missing keys, are treated as without it."""
    assert fill(project, f"day={DAYS[0]}", "--yes", BROKEN=DAYS[0]).code == 1
    plan = fill(project, f"day={DAYS[0]}", "--again", "partial", "--dry-run")
    assert "resumed" not in plan.out
    assert "1 run to make" in plan.out


def test_days_that_were_asked_for_apart_are_shown_apart(project: Project) -> None:
    """They are no range."""
    said = fill(project, f"day={DAYS[0]},{DAYS[1]},{DAYS[3]}", "--dry-run")
    assert f"missing  {DAYS[0]} to {DAYS[1]} (2), {DAYS[3]}" in said.out


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "damaged",
    [
        "",
        '{"event": "began", "plan": 5, "time_ms": "x", "arguments": 5}\n{"event": "ended", "key": 5, "seconds": "x"}\n',
        '{"event": "began", "plan": [[["a"]]], "time_ms": 1e30, "job": 5}\n{"event": "over", "time_ms": null}\n',
    ],
)
def test_a_damaged_record_hides_no_other(tmp_path: Path, damaged: str) -> None:
    """Any program may write into the folder."""
    project = empty(tmp_path / "repository")
    folder = project.root / ".dbxdec" / "backfills"
    folder.mkdir(parents=True)
    (folder / "1.jsonl").write_text(damaged)
    (folder / "2.jsonl").mkdir()
    for arguments in ((), ("--json",), ("1",), ("resume", "1")):
        said = dbxdec(project, "backfills", *arguments)
        assert "Traceback" not in said.err, said.err
    assert dbxdec(project, "backfills").code == 0
    assert "is damaged" in dbxdec(project, "backfills", "resume", "1").err


@pytest.mark.parametrize(
    ("every", "wanted"),
    [("1m", ["2024-01-31", "2024-02-29", "2024-03-31"]), ("2w", ["2024-01-31", "2024-02-14", "2024-02-28"])],
)
def test_distances_are_those_from_the_first_key(every: str, wanted: list[str]) -> None:
    """The last day of a month leads to the last days of the others."""
    first = dt.date(2024, 1, 31)
    due = tuple((str(first + dt.timedelta(n)),) for n in range(61))
    keys = Keys("delays", ("day",), due, ())
    day = JobParameter("day", ValueType("date"), key=Periods("daily"))
    found = backfill.thinned(Job("delays", "shop", "delays", SourceLocation("x", 1), (), (day,)), keys, every)
    assert [key[0] for key in found.due][:3] == wanted


@pytest.mark.slow
def test_ctrl_c_at_the_question_ends_it_with_nothing_begun(project: Project) -> None:
    """One plain line, and the exit code of Ctrl-C."""
    terminal = Terminal(project, "backfill", "delays")
    terminal.wait_for("make 4 runs?")
    terminal.interrupt("dbxdec: interrupted: nothing is run")
    assert terminal.ended() == 130
    assert "\ndbxdec: interrupted: nothing is run\n" in terminal.shown.replace("\r", "")
    assert "Traceback" not in terminal.shown
    assert not (project.root / "ran").exists()
    assert "no backfill is kept here" in dbxdec(project, "backfills").err
