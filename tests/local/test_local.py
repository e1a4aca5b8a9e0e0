"""Runs on this machine: when tasks run, references, interruptions, time limits."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from pathlib import Path

import pytest

from conftest import Installation
from dbxdec.errors import SourceLocation
from dbxdec.local import ledger
from dbxdec.model import dag
from dbxdec.platform.references import resolve
from dbxdec.platform.run_if import State, instead, instead_of_running
from projects import Project, shop

OK, BAD, OUT, UP = State.SUCCESS, State.FAILED, State.EXCLUDED, State.UPSTREAM_FAILED


@pytest.mark.parametrize(
    ("run_if", "before", "state"),
    [
        (None, [], None),
        (None, [OK, OUT], None),
        (None, [OK, BAD], UP),
        ("ALL_SUCCESS", [UP], UP),
        (None, [OUT, OUT], OUT),
        ("ALL_DONE", [OUT], OUT),
        ("ALL_DONE", [BAD, OK, OUT], None),
        ("NONE_FAILED", [OK, OUT], None),
        ("NONE_FAILED", [OUT], OUT),
        ("NONE_FAILED", [OK, BAD], UP),
        ("AT_LEAST_ONE_SUCCESS", [BAD, OK], None),
        ("AT_LEAST_ONE_SUCCESS", [BAD, OUT], UP),
        ("AT_LEAST_ONE_FAILED", [BAD, OK], None),
        ("AT_LEAST_ONE_FAILED", [OK, OUT], OUT),
        ("ALL_FAILED", [BAD, UP], None),
        ("ALL_FAILED", [BAD, OK], OUT),
        ("ALL_FAILED", [OUT, OUT], OUT),
        *((run_if, [], None) for run_if in ("ALL_SUCCESS", "NONE_FAILED", "AT_LEAST_ONE_SUCCESS", "ALL_DONE")),
        *((run_if, [], OUT) for run_if in ("AT_LEAST_ONE_FAILED", "ALL_FAILED")),
    ],
)
def test_run_if_decides_as_on_the_platform(run_if: str | None, before: list[State], state: State | None) -> None:
    """Each `run_if` lets a task run, or gives it the state that the platform shows, in any order of those before."""
    for order in itertools.permutations(before):
        assert instead_of_running(run_if, order) == state


@pytest.mark.parametrize("run_if", [None, "ALL_DONE", "AT_LEAST_ONE_SUCCESS", "AT_LEAST_ONE_FAILED"])
def test_a_branch_that_was_not_taken_leaves_a_task_out(run_if: str | None) -> None:
    """Whatever else the task waits for, and whatever its `run_if` says, its branch has to be taken."""
    assert instead_of_running(run_if, [OK, OUT], gates=[OUT]) is OUT
    assert instead_of_running(run_if, [BAD, OUT, OK], gates=[OK, OUT]) is OUT
    assert instead_of_running(None, [OK, OUT], gates=[OK]) is None


@pytest.mark.parametrize("run_if", [None, "ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED"])
def test_a_condition_that_failed_takes_no_branch(run_if: str | None) -> None:
    """What hangs on a branch of it does not run, even where it runs after failures."""
    assert instead_of_running(run_if, [BAD], gates=[BAD]) is UP
    assert instead_of_running(run_if, [UP, OK], gates=[UP]) is UP


@pytest.mark.parametrize(
    ("outcome", "taken", "run_if", "state"),
    [
        ("true", "true", None, None),
        ("true", "false", None, OUT),
        ("false", "true", "ALL_DONE", OUT),
        ("true", None, None, UP),
        (None, "false", None, None),
    ],
)
def test_a_task_on_a_branch_runs_where_it_is_taken(
    outcome: str | None, taken: str | None, run_if: str | None, state: State | None
) -> None:
    """A task that waits for a condition and for none of its branches runs either way; one that failed takes none."""
    upstream = (dag.Dependency("check", outcome), dag.Dependency("other"))
    waiting = dag.Task("t", "m:f", SourceLocation("m.py", 1), {}, {}, upstream, run_if)
    states = {"check": BAD if taken is None else OK, "other": OK}
    assert instead(waiting, states, {} if taken is None else {"check": taken}) == state


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("{{job.run_id}}", "77"),
        ("{{ job.run_id }}/x", "77/x"),
        ("{{job.run_id}}{{task.name}}", "77t"),
        ("{{job.nothing}}", "{{job.nothing}}"),
        ("{job.run_id}", "{job.run_id}"),
    ],
)
def test_references_resolve_or_stay(text: str, resolved: str) -> None:
    """Known references are replaced, wherever they stand; unknown ones stay literal, as on the platform."""
    assert resolve(text, {"job.run_id": "77", "task.name": "t"}) == resolved


SLOW = """
import time

from dbxdec import job, task


@job
def slow() -> None:
    @task(timeout_seconds=1)
    def limited() -> None:
        time.sleep(600)

    @task(run_if="AT_LEAST_ONE_FAILED")
    def cleanup() -> None:
        print("CLEANED UP")

    @task(run_if="AT_LEAST_ONE_FAILED")
    def unneeded() -> None:
        print("NEVER")

    stuck = limited()
    cleaned = cleanup().after(stuck)
    unneeded().after(cleaned)


@job
def patient() -> None:
    @task
    def wait() -> None:
        print("WAITING", flush=True)
        time.sleep(600)

    @task
    def behind() -> None:
        print("BEHIND")

    behind().after(wait())
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory, installation: Installation) -> Project:
    project = shop(tmp_path_factory.mktemp("slow") / "repository")
    project.write("src/shop/pipelines/slow.py", SLOW)
    result = project.build()
    assert result.code == 0, result.output
    return installation.install(project)


def test_time_limits_and_run_if_hold(slow: Project, installation: Installation) -> None:
    """A task over its timeout_seconds is stopped; what waits for a failure then runs, the rest is excluded.

    No task that others don't wait for has failed, so the run succeeds, and says that it has failures.
    """
    result = installation.dbxdec(slow, "run", "slow")
    assert result.code == 0
    assert "succeeded with failures" in result.output
    assert "CLEANED UP" in result.output, result.output
    assert "NEVER" not in result.output
    states = {
        line.split()[0]: line
        for line in result.output.splitlines()
        if line.startswith(("limited", "cleanup", "unneeded"))
    }
    assert "timed out" in states["limited"]
    assert "success" in states["cleanup"]
    assert "excluded" in states["unneeded"]


def test_an_interrupt_ends_the_task_and_the_run(slow: Project, installation: Installation) -> None:
    """Ctrl-C stops the running task, runs nothing behind it, records that, and exits with 130."""
    command = [str(installation.prefix / "bin" / "dbxdec"), "run", "patient"]
    with subprocess.Popen(
        command,
        cwd=slow.root,
        env={**os.environ, **slow.environment},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal sends the signal to the whole group
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            if "WAITING" in line and not any("WAITING" in before for before in lines):
                os.killpg(process.pid, signal.SIGINT)
            lines.append(line)
        assert process.wait(30) == 130, "".join(lines)
    output = "".join(lines)
    assert "cancelled" in output
    assert "BEHIND" not in output
    last = ledger.find(slow.root, "last")
    assert last.state == "cancelled"
    assert [event["state"] for event in last.tasks().values()] == ["cancelled", "cancelled"]


def test_a_tree_that_can_not_be_read_is_no_riddle(tmp_path: Path, installation: Installation) -> None:
    """Where hatchling is missing and the wheel is not installed, it says which of the two to install."""
    result = installation.dbxdec(shop(tmp_path.resolve()), "run", "sales")
    assert result.code == 2
    assert 'pip install "dbxdec[build]"' in result.output


@pytest.mark.slow
def test_two_runs_at_once_do_not_mix(slow: Project, installation: Installation, tmp_path: Path) -> None:
    """Runs that start at the same moment have ids, folders and task values of their own."""
    command = [str(installation.prefix / "bin" / "dbxdec"), "run", "sales"]
    started = [
        subprocess.Popen(
            [*command, "--param", f"n={n}", "--var", f"lake={tmp_path / str(n)}"],
            cwd=slow.root,
            env={**os.environ, **slow.environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in (2, 5)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert "REPORT 2 " in outputs[0]
    assert "REPORT 5 " in outputs[1]


def test_an_installed_pipeline_is_shown_where_the_tree_can_not_be_read(
    slow: Project, installation: Installation
) -> None:
    """As `run` takes it, so do `show`, `graph` and the list of jobs; `--package` says which."""
    for arguments in (["show"], ["show", "slow"], ["graph", "patient"], ["show", "--package", "shop-pipelines"]):
        result = installation.dbxdec(slow, *arguments)
        assert result.code == 0, result.output
        said = "this is shop-pipelines 1.2.0, which is installed"
        assert (said in result.output) == ("--package" not in arguments), result.output
    listed = installation.dbxdec(slow, "run")
    assert (listed.code, "patient" in listed.output) == (2, True)
