"""Values that a run gets from outside: read by their types before anything runs, without the project's code."""

from __future__ import annotations

import datetime as dt
import json
from enum import Enum
from typing import Any

import pytest

from dbxdec import bundle_variable, condition, each, job, task
from dbxdec.errors import RunError
from dbxdec.local.parameters import check_parameters, same_values
from dbxdec.model import checks, dag, job_forms
from dbxdec.model.trigger import Trigger
from dbxdec.runtime.preparing import typed_parameters
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
    form = json.dumps(job_forms.encode_jobs([built])[built.key]).replace(f"{__name__}:", "no_such_module:")
    return job_forms.decode_job(built.key, json.loads(form))


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
        (
            "many",
            '["RED", "BLUE"]',
            r"""`many` has at \[1\] 'BLUE'; allowed are RED, CRIMSON, GREEN\n    hint: write JSON such as \["RED"\]""",
        ),
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
    form = job_forms.encode_jobs([coloured])["one"]
    for parameter in form["parameters"]:
        parameter.pop("members", None)
        parameter.get("element", {}).pop("members", None)
    older = job_forms.decode_job("one", form)
    assert check_parameters(older, {"c": "BLUE", "many": '["BLUE"]'}, {})["many"] == '["BLUE"]'
    with pytest.raises(RunError, match="not of the type Colour"):
        check_parameters(older, {"many": "[1]"}, {})


@job
def repeated(
    xs: list[float] = [1.5],  # noqa: B006
    days: list[str] = ["2024-01-05"],  # noqa: B006
    any_: list[Any] = [],  # noqa: B006
    n: int = bundle_variable("n"),
    said: str = "",
) -> None:
    @task
    def number(x: float) -> None: ...

    @task
    def day(day: dt.date) -> None: ...

    @task
    def colour(c: Colour) -> None: ...

    number(each(xs))
    day(each(days))  # type: ignore[arg-type]
    colour(each(any_))
    show([n, said])


GIVEN = {"xs": "[1, 2.5]", "days": '["20240105", "2024-01-06T00:00:00Z"]', "any_": '["RED"]', "said": "x {{y}} z"}


def test_what_each_iteration_takes_is_taken_at_the_start() -> None:
    """Items are read as the function that gets them reads them."""
    assert check_parameters(elsewhere(repeated.build().dag), GIVEN, {"n": "4"}) == {**GIVEN, "n": "4"}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("xs", "[1, 2, 1.0]", r"`xs` has 1.0 at \[0\] and at \[2\]\n    hint: give each item once"),
        ("xs", '["a"]', r"`xs` has at \[0\] 'a', which is not of the type float"),
        ("days", '["x"]', r"`days` has at \[0\] 'x', .* date\n    hint: the task `day` takes each item as `date`"),
        ("days", '["2024-01-05T06:00"]', r"`days` has at \[0\] '2024-01-05T06:00', a time and not a date"),
        ("any_", '["RED", 3]', r"`any_` has at \[1\] 3; allowed are RED, CRIMSON, GREEN"),
        ("any_", '["RED", "{{job.nmae}}"]', r"`any_` at \[1\] is the unresolved reference {{job.nmae}}"),
        pytest.param(
            "any_",
            "[" * 100_000,
            "`any_` is not JSON .it is nested too deeply., which the type list needs",
            id="nested",
        ),
        ("any_", f"[{'1' * 5000}]", "`any_` is not JSON .it has a number of too many digits., which the type list"),
        ("said", " {{job.trigger.time.iso_hour}} ", "`said` is the unresolved reference {{job.trigger.time.iso_hour}}"),
        ("said", "{{workspace.url}}", "`said` is {{workspace.url}}, which only the platform knows"),
        ("said", "<dbxdec:required>", "`said` has no default and needs a value"),
    ],
)
def test_what_an_iteration_or_a_task_would_refuse_is_refused_at_the_start(name: str, text: str, says: str) -> None:
    """One sentence before anything runs, instead of one for each iteration."""
    with pytest.raises(RunError, match=says) as raised:
        check_parameters(elsewhere(repeated.build().dag), {name: text}, {"n": "4"})
    assert all(f"`{name}`" in problem.message for problem in raised.value.problems)


def test_a_bundle_variable_as_a_default_is_read_by_the_parameters_type() -> None:
    """Where its value is known, as in each local run; a reference that the run fills in is no mistake."""
    found = elsewhere(repeated.build().dag)
    assert check_parameters(found, {}, {})["n"] == "${var.n}"
    for text in ("{{job.run_id}}", "{{task.name}}", "{{job.parameters.n}}", "{{job.trigger.time.iso_date}}"):
        assert check_parameters(found, {"said": text}, {"n": "4"})["said"] == text
    with pytest.raises(RunError, match="the job parameter `n` is 'three', which is not of the type int"):
        check_parameters(found, {}, {"n": "three"})


def test_a_value_of_another_type_is_one_mistake() -> None:
    """Also where a condition compares the parameter, before a run and in a task."""

    @job
    def compared(n: int = 1) -> None:
        condition(n, "==", 4)
        show(n)

    found = elsewhere(compared.build().dag)
    for check in (
        lambda: check_parameters(found, {"n": "x"}, {}),
        lambda: typed_parameters(found, {"n": "x"}, {}, Trigger.of("", dt.datetime.now(dt.UTC))),
    ):
        with pytest.raises(RunError) as raised:
            check()
        assert [problem.message for problem in raised.value.problems] == [
            "the job parameter `n` is 'x', which is not of the type int"
        ]


def test_a_build_refuses_items_that_no_iteration_takes() -> None:
    """As the default of a parameter, and where another job passes them."""

    @job
    def twice(
        xs: list[int] = [1, 2, 1, 1, 1, 2],  # noqa: B006
        said: list[str] = ["{{job.run_id}}", "{{job.id}}"],  # noqa: B006
    ) -> None:
        show(each(xs))
        show.override(key="again")(each(said))

    twice_dag = elsewhere(twice.build().dag)
    assert check_parameters(twice_dag, {"xs": "[]"}, {})["said"] == '["{{job.run_id}}", "{{job.id}}"]'

    @job
    def outer() -> None:
        repeated(xs=[1.0, 2, 2.0])

    found = checks.check([twice.build().dag, repeated.build().dag, outer.build().dag])
    assert [problem.message for problem in found] == [
        "the job parameter `xs` has 1 at [0] and at [2] and 2 more times by default",
        "the job parameter `xs` has 2 at [1] and at [5] by default",
        "the task `repeated` runs the job `repeated`, but the job parameter `xs` has 2.0 at [1] and at [2]",
    ]


def test_a_repair_may_write_values_in_another_way() -> None:
    """What it says again is the same where the values are."""
    found = elsewhere(repeated.build().dag)
    had = {**GIVEN, "n": "4", "said": "{{job.run_id}}"}
    again = {"xs": "[1.0, 2.50]", "n": " 4", "said": "{{job.run_id}}", "days": '["20240105"]'}
    assert same_values(found, had, again) == {"xs", "n", "said"}


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


@pytest.mark.slow
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
