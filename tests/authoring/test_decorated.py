"""Tasks and jobs below decorators of the project's own: they are what their author wrote, signature, types and line."""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import statistics
from typing import Any

import pytest

import dbxdec
from authored import Frame, Shelf, here, lines, messages
from dbxdec import job, task
from dbxdec.authoring.definitions import _of_signature, arguments_of
from dbxdec.authoring.jobs import BuiltJob
from dbxdec.errors import AuthoringError, SourceLocation
from dbxdec.model import dag
from dbxdec.model.values import ValueType
from decorators import retried, traced

shelf = Shelf()


@task(io_manager=shelf)
@traced
@retried(2)
def load(day: dt.date, top: int = 3) -> Frame:
    """Fixture task below two decorators."""
    return Frame()


@task
@traced
def count(frame: Frame) -> int:
    """Fixture task below one decorator, with a small result."""
    return 1


def built(body: Any) -> BuiltJob:
    """The job with this body."""
    return job(body).build()


def test_annotations_are_read_where_the_decorated_function_was_written() -> None:
    """Text annotations of a decorated task are resolved by its own module, not by the decorator's."""

    @task
    @traced
    def report(n: int, day: dt.date) -> None: ...

    def nightly(day: dt.date = dt.date(2013, 1, 1)) -> None:
        report(count(load(day)), day)

    found = built(nightly)
    assert messages(found) == []
    assert [t.outputs["result"].type for t in found.dag.tasks[:2]] == [None, ValueType("int")]


def test_edges_of_decorated_tasks_are_checked() -> None:
    """What a decorated task is given has to fit its own annotations and signature."""

    def nightly(day: dt.date = dt.date(2013, 1, 1)) -> None:
        frame = load(day, tops=4)
        count(day)
        count.override(key="second")(frame)

    assert messages(built(nightly)) == [
        "the task `load` has no parameter `tops`",
        "the parameter `frame` of the task `count` is annotated `Frame`, but the job parameter `day` is `date`",
    ]


def test_a_decorated_task_stands_where_its_author_wrote_it() -> None:
    """The manifest names the line of the decorated function, not that of the decorator's wrapper."""

    def nightly(day: dt.date = dt.date(2013, 1, 1)) -> None:
        load(day)

    where = built(nightly).dag.tasks[0].source
    assert where.path == __file__
    assert where.line == inspect.unwrap(load.fn).__code__.co_firstlineno


def test_closures_are_seen_through_decorators() -> None:
    """A decorated nested task that closes over a parameter, or whose decorator is given one, is refused."""
    line = here(3)

    def nightly(n: int = 3) -> None:
        @task
        @traced
        def first() -> None:
            print(n)

        @task
        @retried(n)
        def second() -> None: ...

        @task
        @traced
        def third(m: int = n) -> None: ...

        first()
        second()
        third()

    found = built(nightly)
    assert [message.partition(",")[0] for message in messages(found)] == [
        "the task `first` closes over `n`",
        "the task `second` closes over `times`",
        "the default of the parameter `m` of the task `third` is the job parameter `n`",
    ]
    assert lines(found) == [line, line + 5, line + 9]


def test_a_loop_around_a_decorated_task_is_seen() -> None:
    """Decorated tasks that a loop defines are refused where they see what the last turn leaves."""

    def nightly() -> None:
        for country in ("DE", "FR"):

            @task(key=f"load_{country}")
            @traced
            def load() -> None:
                print(country)  # noqa: B023 - the mistake

            load()

    assert messages(built(nightly)) == ["the task `load` closes over `country`, which the job's body changes later"]


def test_a_job_can_be_decorated() -> None:
    """The parameters of a decorated job are those of its function, and the body gets them."""

    @job
    @traced
    def nightly(day: dt.date = dt.date(2013, 1, 1), *, top: int = 3) -> None:
        load(day, top)

    found = nightly.build()
    assert messages(found) == []
    assert [parameter.name for parameter in found.dag.parameters] == ["day", "top"]
    assert found.dag.tasks[0].inputs == {"day": dag.Parameter("day"), "top": dag.Parameter("top")}
    assert found.dag.source.line == inspect.unwrap(nightly.fn).__code__.co_firstlineno


def test_a_positional_only_job_parameter_is_one_mistake() -> None:
    """The body of a job with a parameter that can't be named is run nevertheless."""

    def nightly(day: dt.date, /) -> None:
        count(3)

    assert messages(built(nightly)) == ["the job parameter `day` is positional-only, `*args` or `**kwargs`"]


def test_a_decorator_that_says_its_own_signature_is_believed() -> None:
    """A wrapper with a `__signature__` takes what that says."""

    def without_day(fn: Any) -> Any:
        @functools.wraps(fn)
        def inner(top: int) -> Frame:
            return fn(dt.date(2013, 1, 1), top)  # type: ignore[no-any-return]

        inner.__signature__ = inspect.signature(inner, follow_wrapped=False)  # type: ignore[attr-defined]
        return inner

    @task(io_manager=shelf)
    @without_day
    def load(day: dt.date, top: int) -> Frame:
        return Frame()

    def nightly() -> None:
        load(3)

    assert messages(built(nightly)) == []


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (functools.partial(print, "a"), "write a `def` that calls it"),
        (functools.lru_cache(lambda: None), "below `@task`, use only decorators that return a function"),
        (Frame, "put `@task` above a `def`"),
        (len, "put `@task` above a `def`"),
    ],
)
def test_what_is_no_function_is_refused_with_what_to_write(given: Any, hint: str) -> None:
    """`@task` on a partial, a cached function or a class says what to write instead, and no address."""
    with pytest.raises(AuthoringError) as caught:
        dbxdec.task(given)
    (problem,) = caught.value.problems
    assert problem.hint == hint
    assert " at 0x" not in problem.message


def test_a_decorator_that_is_there_twice_is_one_mistake() -> None:
    """The task is what it was, so nothing else follows from it."""

    @job
    def daily() -> None:
        @task(max_retries=2)
        @task
        def one() -> int:
            return 1

        one()

    (problem,) = daily.build("m").problems
    assert problem.message == "`one` is a task already"
    assert problem.hint == "write `@task` once"


def test_a_job_of_a_task_or_a_job_is_said_as_such() -> None:
    """A function is one of both, once."""

    @job
    def daily() -> None:
        count(Frame())

    for below, message in (
        (count, "`count` is a task, so it can't be a job, too"),
        (daily, "`daily` is a job already"),
    ):
        with pytest.raises(AuthoringError) as error:
            job(below)
        (problem,) = error.value.problems
        assert problem.message == message
        assert problem.hint


def test_a_method_is_refused_where_it_is_written() -> None:
    """A method has a parameter that no call gives; a static method is a function like any other."""
    line = here(4)
    with pytest.raises(AuthoringError) as caught:

        class Loader:
            @task
            def load(self, day: dt.date) -> int:
                return 1

    (problem,) = caught.value.problems
    assert problem.message.endswith("Loader.load` is a method: nothing passes it `self`")
    assert str(problem.where) == f"{__file__}:{line}"

    class Counter:
        @staticmethod
        @task
        def count(n: int) -> int:
            return n

    def nightly(n: int = 3) -> None:
        Counter.count(n)

    assert messages(built(nightly)) == []


def test_a_mistake_inside_a_library_is_shown_at_the_authors_line() -> None:
    """What a library does with a result is a mistake of the line that gave it the result."""

    def nightly(n: int = 3) -> None:
        found = count(load(dt.date(2013, 1, 1)))
        values: list[Any] = [found, n]
        statistics.mean(values)

    found = built(nightly)
    assert messages(found)
    assert {problem.where.path for problem in found.problems if isinstance(problem.where, SourceLocation)} == {__file__}


PLAIN = [
    "",
    "a",
    "a, b=1",
    "a, /",
    "a, /, b, c=1",
    "a=1, /, b=2, *, c, d=3",
    "*args",
    "a, *args, b, c=2",
    "**extra",
    "a, *, b=1, **extra",
    "a, /, b=1, *args, c, d=4, **extra",
]


@pytest.mark.parametrize("parameters", PLAIN)
def test_what_a_plain_function_takes_is_what_its_signature_says(parameters: str) -> None:
    """What is read off the code of a function, locals and all, is what `inspect.signature` says."""
    namespace: dict[str, Any] = {}
    exec(f"def f({parameters}):\n    local = other = 1\n    return local", namespace)  # noqa: S102 - our own text
    assert arguments_of(namespace["f"]) == _of_signature(inspect.signature(namespace["f"]))
