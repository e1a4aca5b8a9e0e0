"""Interrupted, killed and resumed runs: what is kept, what runs again, and that nothing is left behind."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest

from dbxdec.local import ledger
from projects import Project
from running import DBXDEC, MARK, dbxdec, define, empty, marks, states, wait_for, wait_for_no_worker


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return empty(tmp_path.resolve())


def started(project: Project, *arguments: str) -> subprocess.Popen[bytes]:
    """A run that goes on in the background."""
    return subprocess.Popen(
        [*DBXDEC, "run", *arguments], cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


WIDE = (
    MARK
    + """
def pause(name: str) -> None:
    mark(name)
    if not Path("go").exists():
        Path(f"waiting-{name}").touch()
        time.sleep(600)


@job
def wide(n: int = 3) -> None:
    @task(io_manager=lake)
    def source(n: int) -> pl.DataFrame:
        mark("source")
        return pl.DataFrame({"x": range(n)})

    @task(io_manager=lake)
    def part(item: str, source: pl.DataFrame) -> pl.DataFrame:
        pause(item) if item == "c" else mark(item)
        return source.with_columns(item=pl.lit(item))

    @task
    def many(source: pl.DataFrame) -> bool:
        mark("many")
        return source.height > 2

    @task(io_manager=lake)
    def branch() -> pl.DataFrame:
        pause("branch")
        return pl.DataFrame({"y": [1]})

    @task(io_manager=lake)
    def total(part: pl.DataFrame, branch: pl.DataFrame | None) -> pl.DataFrame:
        mark("total")
        return part.group_by("item").agg(pl.col("x").sum()).sort("item")

    found = source(n)
    check = condition(many(found), "==", True)
    chosen = branch()
    check.then(chosen)
    total(part(each(["a", "b", "c"]), found), chosen)
"""
)


@pytest.mark.slow
def test_a_run_killed_in_the_middle_of_several_tasks_is_resumed(project: Project, tmp_path: Path) -> None:
    """Killed with iterations done and others at work, a run ends as an unbroken one; what had ended runs once."""
    define(project, WIDE)
    with started(project, "wide", "--jobs", "4") as runner:
        wait_for(project.root / "waiting-c")
        wait_for(project.root / "waiting-branch")
        runner.kill()
    assert ledger.find(project.root, "last").state == "interrupted"
    wait_for_no_worker(project.root)
    (project.root / "go").touch()
    said = dbxdec(project, "run", "wide", "--resume")
    assert said.code == 0, said
    assert sorted(marks(project)) == sorted(["source", "many", "a", "b", "total", *["c", "branch"] * 2])
    unbroken = empty(tmp_path / "unbroken")
    define(unbroken, WIDE)
    (unbroken.root / "go").touch()
    assert dbxdec(unbroken, "run", "wide").code == 0
    for name in ("source", "branch", "total"):
        tables = [pl.read_delta(str(one.root / "lake" / name)).sort(pl.all()) for one in (project, unbroken)]
        assert tables[0].equals(tables[1]), name


COMMANDS = """
@job
def mixed() -> None:
    native_task("show", notebook_task={"notebook_path": "notebooks/show"})
"""


def test_a_command_in_the_place_of_a_task_ends_with_the_runner(project: Project) -> None:
    """Nothing that a killed runner has started lives on: the shell of a replaced task neither, nor its children."""
    define(project, COMMANDS)
    with started(project, "mixed", "--replace", "show=touch waiting; sleep 600 & sleep 600") as runner:
        wait_for(project.root / "waiting")
        assert processes_in(project.root)
        runner.kill()
    end = time.monotonic() + 30
    while left := processes_in(project.root):
        assert time.monotonic() < end, left
        time.sleep(0.1)


def processes_in(folder: Path) -> list[str]:
    """The command lines of the processes whose working directory is `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


STUBBORN = """
@job
def stubborn() -> None:
    @task
    def stays() -> None:
        Path("waiting").touch()
        while True:
            try:
                time.sleep(600)
            except KeyboardInterrupt:
                Path("told").touch()

    @task
    def behind() -> None: ...

    behind().after(stays())
"""


@pytest.mark.slow
def test_a_second_interrupt_ends_a_task_that_does_not_listen(project: Project) -> None:
    """The first Ctrl-C asks, the second kills; the run is cancelled, ends with 130 and leaves no process."""
    define(project, STUBBORN)
    with started(project, "stubborn") as runner:
        wait_for(project.root / "waiting")
        runner.send_signal(signal.SIGINT)
        wait_for(project.root / "told")
        runner.send_signal(signal.SIGINT)
    assert runner.returncode == 130
    assert states(project) == {"stays": "cancelled", "behind": "cancelled"}
    assert ledger.find(project.root, "last").state == "cancelled"
    wait_for_no_worker(project.root)


def test_a_terminated_run_is_cancelled(project: Project) -> None:
    """SIGTERM, as a cancelled workflow sends it, stops the tasks as Ctrl-C does."""
    define(project, STUBBORN.replace("except KeyboardInterrupt:", "finally:"))
    with started(project, "stubborn") as runner:
        wait_for(project.root / "waiting")
        runner.terminate()
    assert runner.returncode == 130
    assert states(project)["stays"] == "cancelled"


def test_an_interrupt_before_the_run_is_one_too(project: Project) -> None:
    """Ctrl-C while the project is read ends with 130 and without a traceback."""
    define(project, f"Path({str(project.root)!r}, 'waiting').touch()\ntime.sleep(600)\n")
    with subprocess.Popen(
        [*DBXDEC, "run", "any"], cwd=project.root, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as runner:
        wait_for(project.root / "waiting")
        os.killpg(runner.pid, signal.SIGINT)
        assert runner.stderr is not None
        said = runner.stderr.read()
    assert (runner.returncode, "Traceback" in said) == (130, False)


CHANGED = (
    MARK
    + """
@job
def changed() -> None:
    @task(io_manager=lake.table("part", mode="overwrite"))
    def part(item: str) -> pl.DataFrame:
        mark(item)
        if item == "b" and not Path("go").exists():
            raise ValueError(item)
        return pl.DataFrame({"item": [item]})

    @task
    def all_of(part: pl.DataFrame) -> None:
        mark("+".join(sorted(part["item"])))

    all_of(part(each(["a", "b"])))
"""
)


@pytest.mark.slow
def test_iterations_of_other_items_are_not_kept(project: Project) -> None:
    """Where the items of a for-each task are others by now, none of its iterations counts as done."""
    define(project, CHANGED)
    assert dbxdec(project, "run", "changed").code == 1
    (project.root / "go").touch()
    project.edit("src/shop/pipelines/sales.py", 'each(["a", "b"])', 'each(["x", "b"])')
    said = dbxdec(project, "run", "changed", "--resume")
    assert said.code == 0, said
    assert sorted(marks(project)) == ["a", "b", "b", "b+x", "x"]


@pytest.mark.slow
def test_the_rows_of_kept_iterations_are_counted(project: Project) -> None:
    """The summary of a resumed run has those of all iterations, as the table has."""
    define(project, CHANGED)
    assert dbxdec(project, "run", "changed").code == 1
    (project.root / "go").touch()
    said = dbxdec(project, "run", "changed", "--resume")
    assert (said.code, sorted(marks(project))) == (0, ["a", "a+b", "b", "b"])
    assert re.search(r"^part +success +\d+ +[\d.]+ +2 ", said.out, re.MULTILINE), said.out


RESPELT = (
    MARK
    + """
import datetime as dt
from decimal import Decimal


@job
def inner(amount: Decimal) -> None:
    @task(io_manager=lake.table("inner"))
    def kept(amount: Decimal) -> pl.DataFrame:
        mark("inner")
        return pl.DataFrame({"a": [str(amount)]})

    @task
    def failing(kept: pl.DataFrame) -> None:
        if not Path("go").exists():
            raise ValueError

    failing(kept(amount))


@job
def respelt(moments: list[dt.datetime], amount: Decimal = Decimal(1)) -> None:
    @task(io_manager=lake.table("parts"))
    def part(at: dt.datetime) -> pl.DataFrame:
        mark(f"part{at.month}")
        if at.month == 2 and not Path("go").exists():
            raise ValueError(at)
        return pl.DataFrame({"at": [at.isoformat()]})

    part(each(moments))
    inner(amount)
"""
)


@pytest.mark.slow
def test_values_of_the_run_to_resume_may_be_given_in_another_spelling(project: Project) -> None:
    """One moment in two zones is one item, and a number with more digits the same one: what is done is kept."""
    define(project, RESPELT)
    moments = '["2024-01-06T00:00:00Z", "2024-02-06 00:00+00:00"]'
    assert dbxdec(project, "run", "respelt", "-p", f"moments={moments}", "-p", "amount=1.50").code == 1
    (project.root / "go").touch()
    moments = '["2024-01-06T01:00:00+01:00", "2024-02-06T00:00:00Z"]'
    given = ("-p", f"moments={moments}", "-p", "amount=1.5")
    said = dbxdec(project, "run", "respelt", "--resume", *given)
    assert said.code == 0, said
    assert sorted(marks(project)) == ["inner", "part1", "part2", "part2"]
    for name, rows in (("parts", 2), ("inner", 1)):
        assert pl.read_delta(str(project.root / "lake" / name)).height == rows


@pytest.mark.slow
def test_a_task_behind_one_that_ran_again_is_not_kept(project: Project) -> None:
    """What an earlier attempt has done on other inputs is not kept by a later one, however the one between ended."""
    body = (
        MARK
        + """
@job
def chain() -> None:
    @task
    def first(words: list[str]) -> str:
        mark("first")
        return words[0]

    @task
    def second(first: str) -> str:
        mark(f"second-{first}")
        if Path("die").exists():
            Path("die").unlink()
            os.kill(os.getppid(), 9)
            time.sleep(600)
        return first

    @task
    def third(second: str) -> None:
        if not Path("go").exists():
            raise ValueError

    third(second(first(["a"])))
"""
    )
    define(project, body)
    assert dbxdec(project, "run", "chain").code == 1
    define(project, body.replace('first(["a"])', 'first(["b"])'))
    (project.root / "die").touch()
    assert dbxdec(project, "run", "chain", "--resume").code == -signal.SIGKILL
    wait_for_no_worker(project.root)
    assert states(project) == {"first": "success"}
    (project.root / "go").touch()
    assert dbxdec(project, "run", "chain", "--resume").code == 0
    assert marks(project) == ["first", "second-a", "first", "second-b", "second-b"]


@pytest.mark.slow
def test_a_task_that_had_ended_when_the_runner_was_killed_is_kept(project: Project) -> None:
    """A success whose attempt is on record counts, even if the runner got no further."""
    define(project, WIDE)
    (project.root / "go").touch()
    assert dbxdec(project, "run", "wide").code == 0
    run = ledger.find(project.root, "last")
    lines = (run.folder / "events.jsonl").read_text().splitlines(keepends=True)
    events = [json.loads(line) for line in lines]
    last = max(i for i, e in enumerate(events) if e["event"] == "attempt" and e["task"] == "source")
    (run.folder / "events.jsonl").write_text("".join(lines[: last + 1]))
    (project.root / "marks").unlink()
    assert dbxdec(project, "run", "wide", "--resume").code == 0
    assert "source" not in marks(project)
    assert states(project)["source"] == "success"


MEETING = """
@job
def meeting(n: int = 0) -> None:
    @task(io_manager=lake.table("numbers", mode="overwrite"))
    def numbers(n: int) -> pl.DataFrame:
        return pl.DataFrame({"n": [n]})

    @task
    def waits(numbers: pl.DataFrame, n: int) -> int:
        Path(f"wrote-{n}").touch()
        for _ in range(1200):
            if Path(f"wrote-{3 - n}").exists():
                return n
            time.sleep(0.05)
        raise TimeoutError

    @task
    def reads(numbers: pl.DataFrame, waits: int, n: int) -> None:
        print("READ", numbers["n"].to_list(), waits, n)

    found = numbers(n)
    reads(found, waits(found, n), n)
"""


@pytest.mark.slow
def test_two_runs_of_one_job_at_once_do_not_mix(project: Project) -> None:
    """Both overwrite one table and read it when both have: each has its own version, its own values and folder."""
    define(project, MEETING)
    runs = [
        subprocess.Popen(
            [*DBXDEC, "run", "meeting", "-p", f"n={n}"], cwd=project.root, stdout=subprocess.PIPE, text=True
        )
        for n in (1, 2)
    ]
    for n, run in zip((1, 2), runs, strict=True):
        out, _ = run.communicate(timeout=120)
        assert run.returncode == 0, out
        assert f"READ [{n}] {n} {n}" in out
    assert len({run.id for run in ledger.runs(project.root)}) == 2


@pytest.mark.slow
def test_a_run_that_goes_on_is_not_resumed_by_another_process(project: Project) -> None:
    """Resuming a run that somebody runs is refused, and changes nothing of it."""
    define(project, MEETING)
    with started(project, "meeting", "-p", "n=1") as runner:
        wait_for(project.root / "wrote-1")
        run = ledger.find(project.root, "last")
        assert run.state == "running"
        said = dbxdec(project, "run", "meeting", "--resume", run.id)
        assert (said.code, "is still running in another process" in said.err) == (2, True)
        (project.root / "wrote-2").touch()
    assert runner.returncode == 0
    assert ledger.find(project.root, run.id).state == "success"


def test_a_run_whose_reader_has_left_ends(project: Project) -> None:
    """`dbxdec run JOB | head -1` ends, as other programs do, and leaves no process."""
    define(project, WIDE)
    (project.root / "go").touch()
    with subprocess.Popen(
        [*DBXDEC, "run", "wide"], cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as runner:
        assert runner.stdout is not None
        runner.stdout.readline()
        runner.stdout.close()
        _, err = runner.communicate(timeout=60)
    assert b"Traceback" not in err
    wait_for_no_worker(project.root)


NESTED = (
    MARK
    + """
@job
def inner() -> None:
    native_task("show", notebook_task={"notebook_path": "notebooks/show"})

    @task
    def fails() -> None:
        if not Path("go").exists():
            raise ValueError

    fails()


@job
def outer() -> None:
    first = inner()
    native_task("show", notebook_task={"notebook_path": "notebooks/show"}, depends_on=[first])
"""
)


@pytest.mark.slow
def test_a_run_inside_a_run_is_not_the_last_one(project: Project) -> None:
    """The last run, and the one to resume by default, is what a person has started; its inner run goes on with it."""
    define(project, NESTED)
    assert dbxdec(project, "run", "outer").code == 1
    assert ledger.find(project.root, "last").job == "outer"
    assert {run.job for run in ledger.runs(project.root)} == {"outer", "inner"}
    refused = dbxdec(project, "run", "inner", "--resume")
    assert (refused.code, "no unsuccessful run of `inner` is kept" in refused.err) == (2, True)
    (project.root / "go").touch()
    assert dbxdec(project, "run", "outer", "--resume").code == 0
    assert {run.job: run.repairs for run in ledger.runs(project.root)} == {"outer": 1, "inner": 1}


@pytest.mark.slow
def test_tasks_of_inner_runs_are_replaced_by_their_path(project: Project) -> None:
    """`--replace a/b=...` is for the job that `a` runs, `--replace b=...` for the job itself; others are refused."""
    define(project, NESTED)
    (project.root / "go").touch()
    said = dbxdec(project, "run", "outer", "--replace", "inner/show=echo inside", "--replace", "show=echo outside")
    assert said.code == 0, said
    assert "inner/show | inside" in said.out
    assert "\nshow | outside" in said.out
    for key, text in (
        ("inner/shwo", "did you mean `show`?"),
        ("show/x", "runs no other job"),
        ("x/show", "no task `x`"),
    ):
        refused = dbxdec(project, "run", "outer", "--replace", f"{key}=true")
        assert (refused.code, text in refused.err) == (2, True), refused


PARTS = (
    MARK
    + """
@job
def parts() -> None:
    @task
    def a() -> int:
        mark("a")
        return 1

    @task
    def b(a: int | None) -> int:
        mark("b")
        return 2

    @task
    def never() -> None: ...

    @task
    def join() -> int:
        mark("join")
        return 3

    @task
    def c(join: int | None, b: int) -> None:
        mark("c")
        if not Path("go").exists():
            raise ValueError

    got = b(a())
    unneeded = never()
    condition(got, "==", 7).then(unneeded)
    show = native_task("show", notebook_task={"notebook_path": "notebooks/show"})
    joined = join.override(run_if="NONE_FAILED", depends_on=[unneeded, show])()
    c(joined, got)
"""
)


@pytest.mark.slow
def test_resumed_parts_stay_parts_and_what_succeeded_behind_them_is_kept(project: Project) -> None:
    """A resumed `--from b` leaves `a` out still; what was excluded, skipped or left out makes nothing run again."""
    define(project, PARTS)
    assert dbxdec(project, "run", "parts", "--from", "b", "--from", "show").code == 1
    assert marks(project) == ["b", "join", "c"]
    (project.root / "go").touch()
    said = dbxdec(project, "run", "parts", "--resume")
    assert said.code == 0, said
    assert marks(project) == ["b", "join", "c", "c"]
    assert states(project) == {
        "a": "not selected",
        "b": "success",
        "condition": "success",
        "never": "excluded",
        "show": "skipped",
        "join": "success",
        "c": "success",
    }


@pytest.mark.slow
def test_a_fresh_run_that_failed_is_resumed_for_its_target(project: Project) -> None:
    """What `--fresh` sets aside says nothing of the target, which a resumed run keeps."""
    define(project, FRESH)
    project.write("databricks.yml", "bundle: {name: shop}\ntargets:\n  dev: {variables: {lake: far}}\n")
    assert dbxdec(project, "run", "again", "--fresh", "--target", "dev").code == 1
    assert ledger.find(project.root, "last").head["target"] == "dev"
    (project.root / "go").touch()
    said = dbxdec(project, "run", "again", "--resume")
    assert said.code == 0, said
    assert marks(project) == ["far/source", "far/source"]


FRESH = (
    MARK
    + """
@job
def again() -> None:
    @task(io_manager=lake)
    def source() -> pl.DataFrame:
        mark(lake.uri("source"))
        if not Path("go").exists():
            raise ValueError
        return pl.DataFrame({"x": [1]})

    source()
"""
)


DATED = """
import datetime as dt

from dbxdec import run_date


@job
def inner(day: dt.date = run_date(offset_days=-1)) -> None:
    @task
    def tell(day: dt.date) -> None:
        print("INNER", day)

    tell(day)


@job
def dated(day: dt.date = run_date(offset_days=-1)) -> None:
    @task
    def fails(day: dt.date) -> None:
        print("DAY", day)
        if not Path("go").exists():
            raise ValueError

    inner(day).after(fails(day))
"""


@pytest.mark.slow
def test_a_date_that_follows_the_run_stays_that_of_its_start(project: Project) -> None:
    """Resumed, a run has the date that it began with, and so has another job that is given it."""
    define(project, DATED)
    assert dbxdec(project, "run", "dated").code == 1
    started = dt.datetime.fromtimestamp(ledger.find(project.root, "last").started / 1000, dt.UTC)
    (project.root / "go").touch()
    said = dbxdec(project, "run", "dated", "--resume")
    assert said.code == 0, said
    for name in ("DAY", "INNER"):
        assert f"{name} {started.date() - dt.timedelta(days=1)}" in said.out


TWO_OPEN = (
    MARK
    + """
@job
def pair() -> None:
    @task
    def one() -> None:
        mark("one")
        if not Path("go").exists():
            raise ValueError

    @task
    def other() -> None:
        mark("other")
        if not Path("go").exists():
            raise ValueError

    @task
    def last() -> None:
        mark("last")

    last().after(other())
    one()
"""
)


@pytest.mark.slow
def test_a_run_of_which_a_part_is_resumed_has_not_succeeded(project: Project) -> None:
    """What it was asked for, and has not done, stays open as in a repair of the platform, and can be resumed."""
    define(project, TWO_OPEN)
    assert dbxdec(project, "run", "pair").code == 1
    (project.root / "go").touch()
    assert dbxdec(project, "run", "pair", "--resume", "--task", "one").code == 1
    run = ledger.find(project.root, "last")
    assert (run.state, states(project)) == (
        "failed",
        {"one": "success", "other": "failed", "last": "upstream failed"},
    )
    assert dbxdec(project, "run", "pair", "--resume").code == 0
    assert sorted(marks(project)) == ["last", "one", "one", "other", "other"]


BACKED_UP = (
    MARK
    + """
appended = PolarsDeltaIoManager(bundle_variable("lake"), mode="append")


@job
def load() -> None:
    @task(io_manager=appended)
    def primary() -> pl.DataFrame:
        if not Path("up").exists():
            raise ConnectionError("down")
        return pl.DataFrame({"id": [1]})

    @task(io_manager=appended, run_if="AT_LEAST_ONE_FAILED")
    def backup() -> pl.DataFrame:
        task_values.set("rows", 5)
        return pl.DataFrame({"id": [2, 3]})

    @task
    def size(frame: pl.DataFrame | None) -> int:
        return 0 if frame is None else frame.height

    @task(run_if="ALL_DONE")
    def report(a: pl.DataFrame | None, b: pl.DataFrame | None, n: int | None, rows: int | None) -> str:
        found = [None if one is None else one["id"].to_list() for one in (a, b)]
        print("REPORT", *found, n, rows)
        return f"{found}"

    a = primary()
    b = backup.override(depends_on=[a])()
    chosen = condition(a.state, "==", "failed")
    n = size.override(depends_on=[chosen.true])(b)
    report(a, b, n, b.value("rows"))
"""
)


@pytest.mark.slow
def test_a_task_that_is_left_out_now_has_no_results_of_an_earlier_attempt(project: Project) -> None:
    """Neither its table, nor its result, nor its task values: they are no part of what the run has done."""
    define(project, "from dbxdec import condition, task_values\n" + BACKED_UP)
    assert "REPORT None [2, 3] 2 5" in dbxdec(project, "run", "load").out
    (project.root / "up").touch()
    found = dbxdec(project, "run", "load", "--resume")
    assert states(project) | {"report": "success", "backup": "excluded", "size": "excluded"} == states(project), found
    assert "REPORT [1] None None None" in found.out
