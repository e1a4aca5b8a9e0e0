"""Values that a run gets from outside: read by their types before anything runs, without the project's code."""

from __future__ import annotations

import json
from enum import Enum

import pytest

from dbxdec import job, task
from dbxdec.errors import RunError
from dbxdec.local.parameters import check_parameters
from dbxdec.model import dag, manifest
from projects import Project
from running import dbxdec, define, empty


class Colour(Enum):
    RED = 1
    GREEN = 2
    CRIMSON = 1  # noqa: PIE796 - an alias of RED


@task
def show(x: object) -> None:
    print("GOT", repr(x))


def elsewhere(built: dag.Job) -> dag.Job:
    """The job as a process reads it that has none of the project's modules."""
    form = json.dumps(manifest.encode_jobs([built])[built.key]).replace(f"{__name__}:", "no_such_module:")
    return manifest.decode_job(built.key, json.loads(form))


@pytest.fixture(scope="module")
def coloured() -> dag.Job:
    @job
    def one(
        c: Colour = Colour.RED,
        maybe: Colour | None = None,
        many: list[Colour] = [Colour.RED],  # noqa: B006 - a default in the manifest
        named: dict[str, list[Colour]] = {},  # noqa: B006
    ) -> None:
        show([c, maybe, many, named])

    return elsewhere(one.build().dag)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c", "GREEN"),
        ("c", "CRIMSON"),
        ("maybe", "GREEN"),
        ("maybe", "<dbxdec:none>"),
        ("many", '["GREEN", "CRIMSON"]'),
        ("named", '{"a": ["RED"], "b": []}'),
    ],
)
def test_members_of_an_enum_are_known_by_name(coloured: dag.Job, name: str, text: str) -> None:
    """At the start and inside lists and dicts, where the Enum itself can't be imported."""
    assert check_parameters(coloured, {name: text}, {})[name] == text


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("c", "BLUE", "`c` is 'BLUE'; allowed are RED, CRIMSON, GREEN"),
        ("c", "1", "`c` is '1'; allowed are RED, CRIMSON, GREEN"),
        ("many", '["RED", "BLUE"]', r"`many` has at \[1\] 'BLUE'; allowed are RED, CRIMSON, GREEN"),
        ("many", '[["RED"]]', r"`many` has at \[0\] \['RED'\], which is not of the type Colour"),
        ("named", '{"a": ["BLUE"]}', r"`named` has at \['a'\]\[0\] 'BLUE'; allowed are RED, CRIMSON, GREEN"),
    ],
)
def test_a_name_that_is_no_member_is_refused_before_anything_runs(
    coloured: dag.Job, name: str, text: str, says: str
) -> None:
    """The message names the place and what is allowed."""
    with pytest.raises(RunError, match=says):
        check_parameters(coloured, {name: text}, {})


def test_a_manifest_that_does_not_say_the_members_leaves_them_to_the_task(coloured: dag.Job) -> None:
    """Any string may be one; what is no string is not."""
    form = manifest.encode_jobs([coloured])["one"]
    for parameter in form["parameters"]:
        parameter.pop("members", None)
        parameter.get("element", {}).pop("members", None)
    older = manifest.decode_job("one", form)
    assert check_parameters(older, {"c": "BLUE", "many": '["BLUE"]'}, {})["many"] == '["BLUE"]'
    with pytest.raises(RunError, match="not of the type Colour"):
        check_parameters(older, {"many": "[1]"}, {})


ENUMS = """
from enum import Enum


class C(Enum):
    A = 1
    B = 2


@job
def many(cs: list[C] = [C.A], by: dict[str, C] = {}) -> None:
    @task
    def show(cs: list[C], by: dict[str, C]) -> None:
        print("GOT", cs, by)

    show(cs, by)


@job
def outer() -> None:
    many([C.B])
"""


@pytest.fixture(scope="module")
def enums(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = empty(tmp_path_factory.mktemp("enums").resolve())
    define(project, ENUMS)
    return project


def test_a_run_takes_lists_and_dicts_of_the_projects_enums(enums: Project) -> None:
    """From the tree, of a wheel, and where another job passes them on; nothing of the project is imported for it."""
    given = ("-p", 'cs=["B"]', "-p", 'by={"x": "A"}')
    said = dbxdec(enums, "run", "many", *given)
    assert (said.code, "GOT [<C.B: 2>] {'x': <C.A: 1>}" in said.out) == (0, True), said
    said = dbxdec(enums, "run", "outer")
    assert (said.code, "GOT [<C.B: 2>] {}" in said.out) == (0, True), said
    assert enums.build().code == 0
    said = dbxdec(enums, "run", "many", *given, "--wheel", str(enums.wheel))
    assert (said.code, "GOT [<C.B: 2>] {'x': <C.A: 1>}" in said.out) == (0, True), said
