"""A run that runs other jobs, killed at any point and resumed: each inner run is one, and no row is there twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dbxdec.local import ledger
from dbxdec.local.history import Run
from projects import Project
from running import DBXDEC, MARK, dbxdec, define, empty, marks, states, wait_for

KILLS = int(os.environ.get("DBXDEC_KILLS", "4"))

NESTED = (
    MARK
    + """
@job
def inner(n: int) -> None:
    @task(io_manager=lake.table("landed"))
    def land(n: int) -> pl.DataFrame:
        return pl.DataFrame({"n": [n]})

    @task
    def slow(land: pl.DataFrame) -> None:
        mark("slow")
        if Path("wait").exists():
            Path("waiting").touch()
            time.sleep(600)

    slow(land(n))


@job
def outer(n: int = 0) -> None:
    @task(io_manager=lake.table("before"))
    def before(n: int) -> pl.DataFrame:
        return pl.DataFrame({"n": [n]})

    @task(io_manager=lake.table("after"))
    def after(n: int) -> pl.DataFrame:
        return pl.DataFrame({"n": [n]})

    first = before(n)
    run = inner(n)
    run.after(first)
    after(n).after(run)
"""
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = empty(tmp_path.resolve())
    define(project, NESTED)
    return project


TABLES = ("before", "landed", "after")

# Ends the runner right before or right after it writes the record of a run for the nth time.
KILLER = """
import os, signal, sys
from dbxdec.local import journal

left, late = int(os.environ["KILL_AT"]), os.environ["KILL_LATE"] == "1"

def wrapped(write):
    def killing(*arguments):
        global left
        left -= 1
        if not left and not late:
            os.kill(os.getpid(), signal.SIGKILL)
        write(*arguments)
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
    return killing

journal.append, journal.write_whole = wrapped(journal.append), wrapped(journal.write_whole)
from dbxdec.cli import main
main()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose wheel is there: a run of it reads no tree."""
    project = empty(tmp_path_factory.mktemp("nested").resolve() / "repository")
    define(project, NESTED)
    made = project.build()
    assert made.code == 0, made.output
    return project


def rows(project: Project, table: str) -> list[int]:
    return sorted(pl.read_delta(str(project.root / "lake" / table))["n"])


def runs_of(project: Project, n: int) -> list[Run]:
    """The runs of `outer` with that parameter."""
    return [run for run in ledger.runs(project.root, "outer") if run.head["parameters"] == {"n": str(n)}]


def inner_runs(project: Project, outer: Run) -> list[Run]:
    return [run for run in ledger.runs(project.root) if run.parent == outer.id]


def ordeal(project: Project, n: int, begin: Callable[[tuple[str, ...]], int]) -> int:
    """Run and resume until it ends well; how often it was killed. `begin` starts it with these options."""
    kills = 0
    while True:
        found = runs_of(project, n)
        assert len(found) <= 1
        if found and found[0].state == "success":
            return kills
        code = begin(("--resume", found[0].id) if found else ("-p", f"n={n}"))
        assert code in (0, -signal.SIGKILL)
        kills += code != 0


def killed_at(project: Project, point: int, *, late: bool, options: tuple[str, ...]) -> int:
    """The exit code of a run that is killed at that write of its record, if it has as many."""
    command = [sys.executable, "-c", KILLER, "run", "outer", "--wheel", str(project.wheel), *options]
    environment = os.environ | {"KILL_AT": str(point), "KILL_LATE": str(int(late))}
    done = subprocess.run(command, cwd=project.root, env=environment, capture_output=True, timeout=120, check=False)
    return done.returncode


def killed_after(project: Project, seconds: float, options: tuple[str, ...]) -> int:
    """The exit code of a run that is killed after that time, if it takes as long."""
    command = [*DBXDEC, "run", "outer", "--wheel", str(project.wheel), *options]
    with subprocess.Popen(command, cwd=project.root, stdout=subprocess.DEVNULL) as runner:
        try:
            return runner.wait(seconds)
        except subprocess.TimeoutExpired:
            runner.kill()
    return runner.returncode


@pytest.mark.slow
@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", ["at a write of its record", "after some time"])
def test_a_run_killed_at_any_point_is_resumed_to_the_same_rows(built: Project, kind: str) -> None:
    """Each append is there once for each run, and each run has one run of the other job, however often it is killed.

    DBXDEC_KILLS=200 kills that many.
    """
    seed = time.time_ns() % 1_000_000
    print("seed", seed)  # pytest shows it where the test fails
    dice = random.Random(seed)  # noqa: S311 - for variety
    kills, n = 0, len(list(ledger.runs(built.root, "outer")))
    began = time.monotonic()
    assert ordeal(built, n, lambda options: killed_after(built, 600, options)) == 0
    whole = time.monotonic() - began

    def begin(options: tuple[str, ...]) -> int:
        if kind == "after some time":
            return killed_after(built, dice.uniform(0, whole * 1.2), options)
        return killed_at(built, dice.randrange(1, 30), late=dice.random() < 0.5, options=options)

    while kills < KILLS:
        n += 1
        kills += ordeal(built, n, begin)
        (run,) = runs_of(built, n)
        assert (run.state, run.counts) == ("success", (3, 3))
        (inner,) = inner_runs(built, run)
        assert (inner.state, inner.head["task"]) == ("success", "inner")
        for table in TABLES:
            assert rows(built, table) == list(range(n + 1)), table


@pytest.mark.slow
def test_the_record_names_an_inner_run_before_anything_of_it_runs(project: Project) -> None:
    """Killed in the middle of it, the run names the one of the other job, which names the run and the task."""
    (project.root / "wait").touch()
    with subprocess.Popen([*DBXDEC, "run", "outer"], cwd=project.root, stdout=subprocess.DEVNULL) as runner:
        wait_for(project.root / "waiting")
        runner.kill()
    outer = ledger.find(project.root, "last")
    (inner,) = inner_runs(project, outer)
    assert outer.inner("inner") == inner.id
    assert (inner.head["parent"], inner.head["task"]) == (outer.id, "inner")
    (project.root / "wait").unlink()
    said = dbxdec(project, "run", "outer", "--resume")
    assert said.code == 0, said
    assert [run.id for run in inner_runs(project, outer)] == [inner.id]
    assert rows(project, "landed") == [0]
    (shown,) = json.loads(dbxdec(project, "runs", "show", outer.id, "--table", "inner/land", "--json").out)
    assert shown["rows"] == [[0]]
    assert marks(project) == ["slow", "slow"]


@pytest.mark.slow
def test_an_inner_run_is_found_by_its_own_record_too(project: Project) -> None:
    """Where a kill came before the run could name it, or the line is damaged, it is found by what it says itself."""
    (project.root / "wait").touch()
    with subprocess.Popen([*DBXDEC, "run", "outer"], cwd=project.root, stdout=subprocess.DEVNULL) as runner:
        wait_for(project.root / "waiting")
        runner.kill()
    outer = ledger.find(project.root, "last")
    path = outer.folder / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if json.loads(line)["event"] != "inner"))
    (project.root / "wait").unlink()
    assert dbxdec(project, "run", "outer", "--resume").code == 0
    assert len(inner_runs(project, outer)) == 1
    assert rows(project, "landed") == [0]


CHANGED = """
@job
def inner(n: int, ok: bool) -> None:
    @task(io_manager=lake.table("landed"))
    def land(n: int) -> pl.DataFrame:
        return pl.DataFrame({"n": [n]})

    @task
    def fails(land: pl.DataFrame, ok: bool) -> None:
        if not ok:
            raise ValueError

    fails(land(n), ok)


@job
def outer() -> None:
    inner(1, False)
"""


@pytest.mark.slow
def test_an_inner_run_with_other_parameters_is_not_started_beside_one_that_has_stored(project: Project) -> None:
    """The first one's rows would stay there beside the second's: it is refused, and says what to do."""
    define(project, CHANGED)
    assert dbxdec(project, "run", "outer").code == 1
    project.edit("src/shop/pipelines/sales.py", "inner(1, False)", "inner(2, True)")
    said = dbxdec(project, "run", "outer", "--resume")
    assert said.code == 1
    assert "with other values of `n` and `ok`" in said.out
    assert "start a new run" in said.out
    assert rows(project, "landed") == [1]


@pytest.mark.slow
def test_an_inner_run_that_has_stored_nothing_gives_way_to_one_with_other_parameters(project: Project) -> None:
    """The usual way on from a wrong parameter: mend it, and resume."""
    define(
        project,
        CHANGED.replace("fails(land(n), ok)", "fails(land(n).after(first(ok)), ok)").replace(
            "    @task\n    def fails",
            "    @task\n    def first(ok: bool) -> None:\n        assert ok\n\n    @task\n    def fails",
        ),
    )
    assert dbxdec(project, "run", "outer").code == 1
    project.edit("src/shop/pipelines/sales.py", "inner(1, False)", "inner(2, True)")
    said = dbxdec(project, "run", "outer", "--resume")
    assert said.code == 0, said
    assert rows(project, "landed") == [2]


AGAIN = (
    MARK
    + """
@job
def inner() -> None:
    @task(io_manager=lake.table("landed"))
    def land() -> pl.DataFrame:
        mark("land")
        return pl.DataFrame({"n": [1]})

    land()


@job
def outer() -> None:
    @task
    def fails() -> None:
        if not Path("go").exists():
            raise ValueError

    @task(run_if="ALL_DONE")
    def between() -> None: ...

    @task
    def last() -> None: ...

    failing = fails()
    between().after(failing) >> inner()
    last().after(failing)
"""
)


@pytest.mark.slow
def test_an_inner_run_behind_a_task_that_ran_again_runs_again_whole(project: Project) -> None:
    """As any task does, and in the same run: what it appends is there once."""
    define(project, AGAIN)
    assert dbxdec(project, "run", "outer").code == 1
    assert marks(project) == ["land"]
    (project.root / "go").touch()
    said = dbxdec(project, "run", "outer", "--resume")
    assert said.code == 0, said
    assert marks(project) == ["land", "land"]
    assert rows(project, "landed") == [1]
    assert len(inner_runs(project, ledger.find(project.root, "last"))) == 1


ORPHAN = (
    MARK
    + """
@job
def orphan() -> None:
    @task
    def lasts() -> None:
        mark(f"begin{context().attempt}")
        if not Path("go").exists():
            Path("pid.partial").write_text(str(os.getpid()))
            Path("pid.partial").rename("pid")
            time.sleep(600)
        mark(f"end{context().attempt}")

    lasts()
"""
)


@pytest.mark.slow
def test_a_resumed_run_waits_for_what_its_killed_runner_has_left(project: Project) -> None:
    """A worker that can't end yet, as one in the middle of a long call into C, is waited for: never two at once."""
    define(project, ORPHAN)
    with subprocess.Popen([*DBXDEC, "run", "orphan"], cwd=project.root, stdout=subprocess.DEVNULL) as runner:
        wait_for(project.root / "pid")
        worker = int((project.root / "pid").read_text())
        os.kill(worker, signal.SIGSTOP)
        while " T " not in Path(f"/proc/{worker}/stat").read_text():
            time.sleep(0.01)  # its threads go on for a moment
        runner.kill()
    (project.root / "go").touch()
    command = [*DBXDEC, "run", "orphan", "--resume"]
    with subprocess.Popen(command, cwd=project.root, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as resumed:
        assert resumed.stderr is not None
        said = b""
        while b"waiting for tasks that the killed run left behind" not in said:
            said += resumed.stderr.readline()
            assert resumed.poll() is None, said
        assert marks(project) == ["begin1"]
        os.kill(worker, signal.SIGCONT)
        resumed.stderr.read()
    assert resumed.returncode == 0
    assert marks(project) == ["begin1", "begin2", "end2"]
    assert states(project) == {"lasts": "success"}


@pytest.mark.slow
def test_an_inner_run_is_not_resumed_while_the_run_that_started_it_goes_on(project: Project) -> None:
    """By its own id neither: it is part of a run that somebody has under way."""
    (project.root / "wait").touch()
    with subprocess.Popen([*DBXDEC, "run", "outer"], cwd=project.root, stdout=subprocess.DEVNULL) as runner:
        wait_for(project.root / "waiting")
        (inner,) = inner_runs(project, ledger.find(project.root, "last"))
        said = dbxdec(project, "run", "inner", "--resume", inner.id)
        runner.kill()
    assert (said.code, "still running" in said.err) == (2, True), said
