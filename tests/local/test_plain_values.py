"""Values that a person or a task gives are data, whatever references they look like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from dbxdec import bundle_variable, each, job, task
from dbxdec.testing import run_job
from running import MARK, dbxdec, define, empty, marks

if TYPE_CHECKING:
    from pathlib import Path

    from projects import Project

JOBS = (
    MARK
    + """
import json


@job
def told(given: str = "x", root: str = bundle_variable("lake"), o: int | None = 3) -> None:
    @task
    def show(given: str, root: str, o: int | None) -> None:
        mark(json.dumps([given, root, o], separators=(",", ":")))
        if not Path("go").exists():
            raise ValueError("not yet")

    branch = condition(root, "==", "lake")
    branch.then(show(given, root, o))


@job
def outer(word: str = "y") -> None:
    told(word, bundle_variable("lake") / "inner")


@job
def items() -> None:
    @task
    def found() -> list[str]:
        return ["{{x}}", "{{job.id}}", "plain"]

    @task
    def show(item: str, n: int) -> None:
        mark(item)

    show(each(found()), 1)


@job
def deep() -> None:
    @task
    def nested() -> list:
        found = []
        for _ in range(100_000):
            found = [found]
        return found

    nested()
"""
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = empty(tmp_path.resolve())
    define(project, JOBS)
    (project.root / "go").touch()
    return project


def test_a_given_value_is_plain_and_a_default_is_not(project: Project) -> None:
    """The bundle resolves its variables in a job's definition, and in nothing that is given when it is started."""
    (project.root / "go").unlink()
    text = "${var.lake}/${bundle.target}"
    assert dbxdec(project, "run", "told", "-p", f"given={text}").code == 1
    (project.root / "go").touch()
    assert dbxdec(project, "run", "told", "--resume", "-p", f"given={text}").code == 0
    assert dbxdec(project, "run", "outer", "-p", "word=${var.lake}").code == 0
    found = [json.loads(one) for one in marks(project)]
    assert found == [[text, "lake", 3], [text, "lake", 3]]


@pytest.mark.slow
def test_none_has_a_spelling_that_messages_name(project: Project) -> None:
    """Any other string is a mistake for a parameter that is a number or None."""
    said = dbxdec(project, "run", "told", "-p", "o=null")
    assert said.code == 2
    assert "write a whole number such as 42, or <dbxdec:none> for None" in said.err
    assert dbxdec(project, "run", "told", "-p", "o=<dbxdec:none>").code == 0
    assert json.loads(marks(project)[0])[2] is None


def test_items_of_a_task_may_look_like_references(project: Project) -> None:
    """An item is data; only the platform's own reference, left as it is, is none."""
    said = dbxdec(project, "run", "items", "--jobs", "1", "--json")
    assert said.code == 0, said.err
    assert sorted(marks(project)) == ["plain", "{{job.id}}", "{{x}}"]
    tasks = {found["task"]: found for found in json.loads(said.out)["tasks"]}
    assert tasks["show"]["attempts"] == 1


def test_a_result_that_is_nested_too_deeply_is_one_sentence(project: Project) -> None:
    """JSON has no such values here."""
    said = dbxdec(project, "run", "deep")
    assert said.code == 1
    assert "the task `nested` returned a value" in said.out
    assert "it is nested too deeply" in said.out
    assert "Traceback" not in said.out


@task
def echo(given: str, root: str) -> str:
    return f"{given} {root}".replace("$", "")


@task
def words() -> list[str]:
    return ["{{x}}", "y"]


@task
def same(word: str) -> str:
    return word


@job
def telling(given: str = "x", root: str = bundle_variable("lake")) -> None:
    echo(given, root)
    same(each(words()))


def test_a_test_gives_values_as_the_platform_does() -> None:
    """`dbxdec.testing` resolves the variables of defaults alone, too."""
    run = run_job(telling, given="${var.lake}", variables={"lake": "here"})
    assert run["echo"].value == "{var.lake} here"
    assert run["same"].value == ["{{x}}", "y"]
