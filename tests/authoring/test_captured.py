"""Values that a nested task takes along from the body of its job: the digests by which a run compares them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from dbxdec import bundle_variable, job, secret, task
from dbxdec.authoring.captured import captured
from dbxdec.errors import RunError
from dbxdec.model.job_forms import decode_job, encode_jobs
from dbxdec.runtime.bodies import check_same

HOURS = [1, 2]


class Colour(Enum):
    RED = 1


def closing(value: Any) -> Mapping[str, str]:
    """The digests of a function that closes over `value`."""

    def inner() -> Any:
        return value

    return captured(inner)


@task
def outside(hours: list[int] = HOURS) -> int:
    return len(hours)


class Made:
    """An object of the author's own."""


PLAIN = [
    None,
    True,
    7,
    10**5000,
    1.5,
    "x",
    "\ud800",
    b"x",
    Decimal("1.50"),
    dt.date(2024, 1, 2),
    dt.datetime(2024, 1, 2, tzinfo=dt.UTC),
    dt.time(3),
    dt.timedelta(hours=1),
    uuid.UUID(int=1),
    Colour.RED,
    [1, "a"],
    ("a",),
    {"a": [1]},
    {"a", "b"},
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_a_plain_value_has_a_digest_of_its_own(value: Any) -> None:
    """The digest is the same each time, and another for another value."""
    assert set(closing(value)) == {"value"}
    assert closing(value) == closing(value)
    assert sum(closing(value) == closing(other) for other in PLAIN) == 1


@pytest.mark.parametrize(
    "value",
    [Made(), [Made()], Path("a"), str, print, dt, secret("s", "k"), bundle_variable("v"), {1: object()}],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_left_out(value: Any) -> None:
    """Objects, modules, secrets and bundle variables have no digest: a build may have a placeholder for them."""
    assert closing(value) == {}


def test_a_set_has_no_order() -> None:
    """Sets with the same elements have the same digest; lists in another order do not."""
    names = [f"n{i}" for i in range(50)]
    assert closing(set(names)) == closing(frozenset(reversed(names)))
    assert closing(names) != closing(names[::-1])


def test_the_folder_of_the_project_does_not_count() -> None:
    """A path beside the module is another one in a build and in a run."""
    here = Path(__file__)
    root = here.parents[len(__name__.split(".")) - 1]
    (digest,) = closing(str(here)).values()
    assert closing(str(here.relative_to(root.parent))) != {"value": digest}
    assert closing(str(here)) == closing("/" + str(here.relative_to(root)).replace("\\", "/"))


def test_helpers_decorators_and_defaults_are_followed() -> None:
    """What a function of the body brings along counts, wherever it is kept."""
    batch = "b"

    def helper() -> str:
        return batch

    def decorate(times: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        import functools

        def around(fn: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(fn)
            def wrapper(*args: Any) -> Any:
                return [fn(*args)] * times

            return wrapper

        return around

    @decorate(3)
    def inner(size: int = 4) -> Any:
        return helper(), size

    assert set(captured(inner)) == {"helper.batch", "size", "inner.times"}


def test_a_function_of_a_module_takes_nothing_along() -> None:
    """The manifest of a task at the top of a module has no digests."""

    @job
    def plainly() -> None:
        outside()

    assert "closes_over" not in encode_jobs([plainly.build().dag])["plainly"]["tasks"][0]


def built_with(value: Any) -> Any:
    """A job whose nested task closes over `value`."""

    @job(key="one")
    def body() -> None:
        batch = value

        @task
        def show() -> str:
            return str(batch)

        show()

    made = body.build()
    assert made.problems == ()
    return made


def test_a_run_refuses_a_value_that_differs_from_the_build() -> None:
    """Each task runs the body again: a value that differs there is named, with the task's line and what to write."""
    manifest = decode_job("one", encode_jobs([built_with("a").dag])["one"])
    check_same(manifest.task("show"), built_with("a"))
    with pytest.raises(RunError) as caught:
        check_same(manifest.task("show"), built_with("b"))
    (problem,) = caught.value.problems
    assert problem.message == (
        "the task `show` takes `batch` along from the body of the job `one`, with another value here than at build time"
    )
    assert problem.where == manifest.task("show").source
    assert "return the value from a task" in str(problem.hint)


def test_a_value_that_was_a_placeholder_at_build_is_not_compared() -> None:
    """Only what the build has seen is compared: here a package of the run was absent."""
    manifest = decode_job("one", encode_jobs([built_with(Made()).dag])["one"])
    check_same(manifest.task("show"), built_with("b"))
