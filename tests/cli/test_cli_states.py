"""What the command says of a run in which a task has failed: the platform's verdict, in words, exit code and record."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from projects import Project
from running import dbxdec, define, empty

JOBS = """
@task
def fragile() -> None:
    if not Path("mended").exists():
        raise RuntimeError("on purpose")


@task
def cleanup() -> None:
    print("CLEANED")


@task
def alarm() -> None:
    print("ALARM")


@job
def hidden(top: int = 3) -> None:
    cleanup.override(run_if="ALL_DONE")().after(fragile())


@job(on_failure=alarm)
def guarded() -> None:
    cleanup.override(run_if="ALL_DONE")().after(fragile())


@job
def outer() -> None:
    hidden() >> cleanup()


@job
def branching(top: int = 3) -> None:
    condition(top, "==", 3).then(cleanup())
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = empty(tmp_path.resolve())
    define(project, JOBS)
    return project


def test_a_hidden_failure_is_a_success_that_is_said(project: Project) -> None:
    """Exit code 0, the words at the end and in the record; it can be gone on with, and is a success then."""
    said = dbxdec(project, "run", "hidden", "--json")
    run = json.loads(said.out)
    assert (said.code, run["state"]) == (0, "succeeded with failures")
    assert "succeeded with failures" in said.err
    assert f"dbxdec run hidden --resume {run['id']}" in said.err
    assert "succeeded with failures" in dbxdec(project, "runs").out
    (project.root / "mended").touch()
    again = json.loads(dbxdec(project, "run", "hidden", "--resume", "--json").out)
    assert (again["id"], again["state"]) == (run["id"], "success")


@pytest.mark.slow
def test_a_failure_handler_makes_a_failed_run(project: Project) -> None:
    """Its function has run, and the run has failed; where nothing fails it is left out."""
    said = dbxdec(project, "run", "guarded", "--json")
    run = json.loads(said.out)
    states = {task["task"]: task["state"] for task in run["tasks"]}
    assert (said.code, run["state"]) == (1, "failed")
    assert states == {"fragile": "failed", "cleanup": "success", "alarm": "failed"}
    assert "ALARM" in said.err
    assert "handled; the run has failed tasks" in said.err
    assert re.search("\nalarm +failed \\(handled\\) +1", said.err)
    (project.root / "mended").touch()
    again = json.loads(dbxdec(project, "run", "guarded", "--resume", "--json").out)
    assert again["state"] == "success"
    assert {task["task"]: task["state"] for task in again["tasks"]}["alarm"] == "excluded"


@pytest.mark.slow
def test_a_failure_handler_that_has_done_its_work_is_no_second_mistake(project: Project) -> None:
    """What went wrong is shown once: the handler's own end is neither among the failures, nor counted as one."""
    said = dbxdec(project, "run", "guarded", "--report")
    _, _, failures = said.out.partition("\nfragile failed:")
    assert failures
    assert "alarm" not in failures
    page = next((project.root / ".dbxdec/runs").glob("*/report.html")).read_text(encoding="utf-8")
    assert "1 failed, 1 success, 1 handled" in page
    assert re.findall(r'<details id="task-(\w+)" open>', page) == ["fragile"]
    assert "alarm failed handled" in dbxdec(project, "runs", "show", "last").out


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ['raise ValueError("no mail")', "sys.exit(256)", "os._exit(0)"])
def test_a_failure_handler_that_fails_is_a_mistake(project: Project, wrong: str) -> None:
    """Its own traceback is shown too, and nothing says that it has handled anything."""
    define(project, "import sys\n" + JOBS.replace('print("ALARM")', wrong))
    said = dbxdec(project, "run", "guarded")
    assert said.code == 1
    assert "\nalarm failed:" in said.out
    assert "handled" not in said.out


@pytest.mark.slow
def test_a_parent_goes_on_after_a_hidden_failure(project: Project) -> None:
    """For the task that has started it, a run that succeeded with failures is a success, and is said to be one."""
    run = json.loads(dbxdec(project, "run", "outer", "--json").out)
    tasks = {task["task"]: task for task in run["tasks"]}
    assert run["state"] == "success"
    assert (tasks["hidden"]["state"], tasks["hidden"]["said"]) == ("success", "succeeded with failures")
    assert tasks["cleanup"]["state"] == "success"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tpo=3", "the job `branching` has no parameter `tpo`\n    hint: did you mean `top`?"),
        ("env=dev", "the job `branching` has no parameter `env`"),
        ("top=03", "the job parameter `top` is '03'\n    hint: write '3': the condition `condition` compares it"),
    ],
)
def test_a_parameter_that_would_be_misread_is_refused_before_the_run(project: Project, given: str, said: str) -> None:
    """A person has typed it: nothing runs, unlike deployed, where a target of the bundle may add parameters."""
    refused = dbxdec(project, "run", "branching", "-p", given)
    assert refused.code == 2
    assert said in refused.err
    assert dbxdec(project, "runs", "--json").out.strip() == "[]"
