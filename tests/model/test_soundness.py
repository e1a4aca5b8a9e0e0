"""Jobs of files of any origin: what no build can have written is refused, by its place."""

from __future__ import annotations

from typing import Any

import pytest

from dbxdec.errors import SourceLocation
from dbxdec.model import dag
from dbxdec.model.soundness import UNBUILT, require_job, require_keys, require_pins, require_project, require_wheels
from dbxdec.support.forms import FormError

HERE = SourceLocation("src/shop/sales.py", 3)
BUILD = "0" * 64


def task(key: str = "load", **fields: Any) -> dag.Task:
    given = {"function": "shop.sales:load", "source": HERE, "inputs": {}, "outputs": {}, **fields}
    return dag.Task(key, **given)


def job(*tasks: dag.Task, key: str = "sales", **fields: Any) -> dag.Job:
    given = {"module": "shop.sales", "function": "sales", "source": HERE, **fields}
    return dag.Job(key, tasks=tasks or (task(),), **given)


def refused(made: dag.Job) -> str:
    """What is said of a job."""
    with pytest.raises(FormError) as error:
        require_job(made)
    return f"{error.value.place} {error.value.what}".strip()


LOOP = (task("a", depends_on=(dag.Dependency("b"),)), task("b", depends_on=(dag.Dependency("a"),)))
RUN = {"run_job_task": {"job_id": "${resources.jobs.other.id}"}}
IF = {"condition_task": {"op": "EQUAL_TO", "left": "a", "right": "b"}}


@pytest.mark.parametrize(
    "made",
    [
        job(),
        job(key="_" + "x" * 199),
        job(module="m" * 200),
        job(task("x" * 100), task("-")),
        job(task("a"), task("b", depends_on=(dag.Dependency("a", "true"),), inputs={"x": dag.TaskValue("a", "y")})),
        job(task("a", outputs={"result": dag.Output()}), task("b", inputs={"x": dag.TaskOutput("a")})),
        job(task("a", kind="native", function=None)),
        job(task("a", kind="run_job", function=None, settings=RUN)),
        job(task("a", kind="condition", function=None, settings=IF)),
    ],
)
def test_what_a_build_may_have_written_is_taken(made: dag.Job) -> None:
    """Keys and names up to their longest."""
    require_job(made)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (job(key="a b"), "has the key 'a b', which is not a valid key"),
        (job(key="../up"), "has the key '../up', which is not a valid key"),
        (job(key="1a"), "has the key '1a', which is not a valid key"),
        (job(key="x" * 201), "which is not a valid key"),
        (job(module="shop/sales"), "module is 'shop/sales', not the name of a module"),
        (job(module="m" * 201), "not the name of a module"),
        (job(source=SourceLocation("a\nb", 1)), "source is 'a\\nb', which is not a path"),
        (job(task("a.b")), "tasks[0].key is 'a.b', which is not a valid key"),
        (job(task("x" * 101)), "which is not a valid key"),
        (job(task("a"), task("a")), "tasks[1].key is 'a', which another task has"),
        (job(task(source=SourceLocation("\x1b[2J", 1))), "the task `load`: source is '\\x1b[2J', which is not a path"),
        (job(task(depends_on=(dag.Dependency("b"),))), "depends_on names 'b', which the job does not have"),
        (job(task("a"), task("b", depends_on=(dag.Dependency("a", "x"),))), "depends_on has the outcome 'x'"),
        (job(task(inputs={"x": dag.TaskValue("b", "y")})), "inputs.x is a result of 'b', which the job does not have"),
        (
            job(task("a"), task("b", inputs={"x": dag.Sequence((dag.Literal(1), dag.TaskOutput("a")))})),
            "the task `b`: inputs.x is a result of 'a', which the job does not have",
        ),
        (job(task(each=dag.Each(dag.TaskOutput("b")))), "each is a result of 'b', which the job does not have"),
        (job(task(function=None)), "function is missing"),
        (job(task(kind="other")), "kind is 'other', which this dbxdec does not know"),
        (job(task(kind="condition", settings={"condition_task": {**IF["condition_task"], "op": 1}})), "op is "),
        (
            job(task(kind="run_job", settings={"run_job_task": {"job_id": "7"}})),
            "job_id is '7', not a job of the bundle",
        ),
        (
            job(task(kind="run_job", settings={"run_job_task": {**RUN["run_job_task"], "job_parameters": {"a": 1}}})),
            "job_parameters is not an object of strings",
        ),
        (
            job(task(kind="run_job", settings={"run_job_task": {**RUN["run_job_task"], "job_parameters": ["a"]}})),
            "job_parameters is not an object of strings",
        ),
        (job(*LOOP), "tasks wait for each other in a cycle"),
    ],
)
def test_what_no_build_can_have_written_is_refused(made: dag.Job, said: str) -> None:
    """Keys become names of files, and tasks are looked up by them."""
    assert said in refused(made)


@pytest.mark.parametrize(
    ("name", "version", "build", "place"),
    [
        ("shop", "1.0", BUILD, ""),
        ("s", "1", UNBUILT + BUILD, ""),
        ("s" * 200, "1!2.0+x", BUILD, ""),
        ("s" * 201, "1.0", BUILD, "project.name"),
        ("../shop", "1.0", BUILD, "project.name"),
        ("", "1.0", BUILD, "project.name"),
        ("shop", "0/../up", BUILD, "project.version"),
        ("shop", "1" * 201, BUILD, "project.version"),
        ("shop", "1.0", BUILD[1:], "build_id"),
        ("shop", "1.0", BUILD.replace("0", "G"), "build_id"),
    ],
)
def test_a_project_has_names_that_are_no_paths(name: str, version: str, build: str, place: str) -> None:
    """Name, version and build id are parts of the names of files."""
    if not place:
        require_project(name, version, build)
        return
    with pytest.raises(FormError, match="which no build can have written") as error:
        require_project(name, version, build)
    assert error.value.place == place


@pytest.mark.parametrize(
    ("wheels", "place"),
    [
        ({"libs/a.whl": BUILD}, None),
        ({"libs/a.tar": BUILD}, "wheels"),
        ({"libs/\n.whl": BUILD}, "wheels"),
        ({"x" * 997 + ".whl": BUILD}, "wheels"),
        ({"x" * 996 + ".whl": BUILD}, None),
        ({"a.whl": BUILD[1:]}, "wheels.a.whl"),
    ],
)
def test_wheels_are_named_and_told_by_their_bytes(wheels: dict[str, str], place: str | None) -> None:
    """Paths of wheels that can be shown on one line, with a digest each."""
    if place is None:
        require_wheels(wheels)
        return
    with pytest.raises(FormError) as error:
        require_wheels(wheels)
    assert error.value.place == place


@pytest.mark.parametrize(
    ("text", "is_taken"), [("a==1", True), ("x" * 1000, True), ("x" * 1001, False), ("", False), ("a\n", False)]
)
def test_pins_are_lines(text: str, is_taken: bool) -> None:
    """Of up to a thousand characters."""
    if is_taken:
        require_pins(["b==2", text])
        return
    with pytest.raises(FormError, match="which no build can have written"):
        require_pins(["b==2", text])


@pytest.mark.parametrize(
    ("key", "is_taken"),
    [("anything at all", True), ("x" * 200, True), ("x" * 201, False), ("", False), ("a\nb", False)],
)
def test_keys_of_jobs_of_others_are_shown_on_a_line(key: str, is_taken: bool) -> None:
    """Of up to two hundred characters."""
    if is_taken:
        require_keys([key])
        return
    with pytest.raises(FormError, match="have the key"):
        require_keys([key])
