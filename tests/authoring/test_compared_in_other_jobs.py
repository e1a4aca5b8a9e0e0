"""Results that a run-job task passes to a job whose conditions compare them: they are written as the one string."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from dbxdec import condition, job, task
from dbxdec.authoring.jobs import Job
from dbxdec.testing import run_job

TOKYO = dt.timezone(dt.timedelta(hours=9))


@task
def price() -> Decimal:
    return Decimal("1.50")


@task
def moment() -> dt.datetime:
    return dt.datetime(2024, 1, 1, 9, tzinfo=TOKYO)


@task
def number() -> int:
    return 1


@task
def maybe() -> Decimal | None:
    return Decimal("1.50")


@task
def show(x: Any) -> str:
    return repr(x)


@job
def child(d: Decimal = Decimal(0), m: dt.datetime = dt.datetime(2024, 1, 1, tzinfo=dt.UTC), f: float = 0.0) -> None:
    hit = show.override(key="hit")(d)
    condition(d, "==", Decimal("1.50")).then(hit)
    condition(m, "==", dt.datetime(2024, 1, 1, tzinfo=dt.UTC), key="at").then(show.override(key="now")(m))
    condition(f, "==", 1.0, key="one").then(show.override(key="same")(f))


@job
def plainly(d: Decimal = Decimal(0)) -> None:
    show(d)


@job
def middle(d: Decimal = Decimal(0)) -> None:
    child(d=d)


def passed(parent: Job[Any], name: str = "d") -> str:
    built = parent.build()
    assert built.problems == ()
    (runs,) = [one for one in built.dag.tasks if one.kind == "run_job"]
    text: str = runs.settings["run_job_task"]["job_parameters"][name]
    return text


def test_a_result_takes_the_branch_of_its_value() -> None:
    """A Decimal and a moment are compared as by Python's ==, however the task writes them."""

    @job
    def parent() -> None:
        child(d=price(), m=moment())

    found = run_job(parent)
    assert found["child/hit"].state == "success"
    assert found["child/now"].state == "success"


def test_a_job_in_between_does_not_matter() -> None:
    """What a job passes on to a job that compares it is written in the same way."""

    @job
    def parent() -> None:
        middle(d=price())

    assert "dbxdec_text" in passed(parent)


def test_an_optional_result_for_a_parameter_that_is_not_is_a_mistake() -> None:
    """It is said first, whatever compares the parameter."""

    @job
    def parent() -> None:
        child(d=maybe())

    (problem,) = parent.build().problems
    assert "is `Decimal | None`" in problem.message


def test_what_no_condition_compares_is_passed_as_it_is() -> None:
    """The digits of a Decimal are kept."""

    @job
    def parent() -> None:
        plainly(price())

    assert "dbxdec_text" not in passed(parent)


def test_an_int_for_a_float_that_is_compared_is_a_mistake() -> None:
    """Its string would be another one than that of the equal float."""

    @job
    def parent() -> None:
        child(f=number())

    (problem,) = parent.build().problems
    assert problem.message == (
        "the parameter `f` of the job `child` is compared by a condition as the string of a `float`, but the result of "
        "the task `number` is `int`, whose strings differ"
    )
    assert problem.hint == "annotate the task's function `-> float`"


def test_jobs_that_run_each_other_come_to_an_end() -> None:
    """The circle itself is refused by a check of all jobs."""
    jobs: dict[str, Job[Any]] = {}

    @job
    def first(d: Decimal = Decimal(0)) -> None:
        jobs["second"](d=price())

    @job
    def second(d: Decimal = Decimal(0)) -> None:
        first(d=price())

    jobs["second"] = second
    assert first.compared() == {}


@pytest.mark.parametrize("op", ["<", ">="])
def test_a_comparison_by_size_gets_a_number_without_an_exponent(op: str) -> None:
    """`1E+2` is no number for the platform."""

    @job
    def by_size(d: Decimal = Decimal(0)) -> None:
        condition(d, op, 3).then(show(d))  # type: ignore[arg-type]

    @job
    def parent() -> None:
        by_size(d=price())

    assert "dbxdec_text" in passed(parent)
