"""`dbxdec.testing`: branches, iterations, the platform's own tasks and other jobs behave as on the platform."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import Enum
from typing import Any

import polars as pl
import pytest

from dbxdec import (
    RunError,
    bundle_target,
    bundle_variable,
    condition,
    context,
    each,
    get_task_value,
    job,
    native_task,
    run_date,
    secret,
    set_task_value,
    task,
)
from dbxdec.errors import AuthoringError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.testing import run_job, run_task

lake = PolarsDeltaIoManager(base_path=bundle_variable("root"), mode="overwrite")
parts = lake.table("parts", partition_by="country")


class Colour(Enum):
    RED = 1
    BLUE = 2


@task
def count(n: int) -> int:
    return n


@task(io_manager=lake)
def many(n: int) -> pl.DataFrame:
    return pl.DataFrame({"n": [n]})


@task
def few(n: int) -> str:
    return f"only {n}"


@task
def joined(many: pl.DataFrame | None, few: str | None) -> str:
    return f"{None if many is None else many['n'].to_list()} {few}"


@job
def branches(n: int = 1) -> None:
    found = count(n)
    a, b = many(found), few(found)
    condition(found, ">", bundle_variable("limit"), key="is_many").then(a).otherwise(b)
    joined(a, b)


class TestBranches:
    @pytest.mark.parametrize(
        ("n", "taken", "text"),
        [
            (5, {"many": "success", "few": "excluded"}, "[5] None"),
            (1, {"many": "excluded", "few": "success"}, "None only 1"),
        ],
    )
    def test_one_is_taken(self, n: int, taken: dict[str, str], text: str) -> None:
        """The other is excluded, and what joins them gets None for it."""
        result = run_job(branches, n=n, variables={"limit": 3})
        assert {key: result.states[key] for key in taken} == taken
        assert result["is_many"].value is (n > 3)
        assert result["joined"].value == text
        assert result["joined"].reads["few"] == (None if n > 3 else "only 1")

    def test_a_test_may_say_which(self) -> None:
        """A given outcome takes the place of the comparison, whose values are then not needed."""
        result = run_job(branches, n=1, inputs={"is_many": True})
        assert result["joined"].value == "[1] None"
        assert run_task(branches, "few", inputs={"count": 2}).value == "only 2"
        with pytest.raises(RunError, match="a condition is either true or false"):
            run_job(branches, inputs={"is_many": "yes"})

    def test_its_variables_have_to_be_given(self) -> None:
        """What a comparison, an argument or a default needs is asked for before anything runs."""
        ran = []

        @job
        def one(name: str = bundle_variable("name")) -> None:
            @task
            def first(name: str, target: str, key: str) -> str:
                ran.append(name)
                return f"{name} {target} {key}"

            first(name, bundle_target(), secret("vault", "key"))

        with pytest.raises(RunError) as caught:
            run_job(one)
        assert [(p.message, p.hint) for p in caught.value.problems] == [
            ("the bundle variable `name` has no value in this test", 'variables={"name": ...}'),
            ("the secret `vault/key` has no value in this test", 'secrets={"vault/key": "..."}'),
        ]
        assert ran == []
        result = run_job(one, variables={"name": "n"}, secrets={"vault/key": "s"})
        assert result["first"].value == "n local s"
        again = run_job(one, variables={"bundle.target": "prod"}, secrets={"vault/key": "s"}, name="given")
        assert again["first"].value == "given prod s"


class TestIterations:
    def test_items_of_all_sources(self) -> None:
        """Literals, a job parameter and a task's list are the items; readers get one frame, a list or a dict."""

        @task(io_manager=parts)
        def ingest(country: str) -> pl.DataFrame:
            return pl.DataFrame({"country": [country], "n": [len(country)]})

        @task(io_manager=lake)
        def apart(colour: Colour) -> pl.LazyFrame:
            return pl.LazyFrame({"colour": [colour.name], "iteration": [context().iteration]})

        @task
        def names() -> list[str]:
            return ["x", "y"]

        @task
        def shout(name: str) -> None:
            set_task_value("said", name.upper())

        @task
        def read(frame: pl.DataFrame, frames: list[pl.DataFrame], by_colour: dict[Colour, pl.DataFrame]) -> str:
            colours = {colour.name: found["iteration"].to_list() for colour, found in by_colour.items()}
            return f"{sorted(frame['country'])} {[found.height for found in frames]} {colours}"

        @job
        def one(countries: list[str] = ["de", "fr"]) -> None:  # noqa: B006
            found = ingest(each(countries))
            colours = apart(each([Colour.RED, Colour.BLUE]))
            shout(each(names()))
            read(found, found, colours)

        result = run_job(one, countries=["de", "es", "it"])
        assert result["read"].value == "['de', 'es', 'it'] [1, 1, 1] {'RED': [0], 'BLUE': [1]}"
        assert [frame["country"].to_list() for frame in result["ingest"].value] == [["de"], ["es"], ["it"]]
        assert [one.item for one in result["apart"].iterations] == [Colour.RED, Colour.BLUE]
        assert [one.task_values for one in result["shout"].iterations] == [{"said": "X"}, {"said": "Y"}]
        assert [one.reads for one in result["shout"].iterations] == [{"name": "x"}, {"name": "y"}]
        given = run_job(
            one,
            inputs={
                "ingest": {"de": pl.DataFrame({"country": ["DE"]}), "fr": pl.DataFrame({"country": ["FR"]})},
                "apart": [pl.DataFrame({"iteration": [7]}), pl.DataFrame({"iteration": [8]})],
            },
        )
        assert given["read"].value == "['DE', 'FR'] [1, 1] {'RED': [7], 'BLUE': [8]}"
        with pytest.raises(RunError, match="the task runs for 2 items, and a list of 1 result is given") as caught:
            run_job(one, inputs={"ingest": [pl.DataFrame()]})
        with pytest.raises(RunError, match="the task runs for 2 items, and one DataFrame is given"):
            run_job(one, inputs={"ingest": pl.DataFrame()})
        assert "`inputs['ingest']` is what the test gives" in caught.value.__notes__

    def test_one_that_fails_fails_the_task(self) -> None:
        """The others run; the error says which iteration it was."""

        @task
        def halve(n: int) -> None:
            if n % 2:
                raise ValueError(n)

        @job
        def one() -> None:
            halve(each([2, 3, 4]))

        result = run_job(one, raise_on_error=False)
        assert [iteration.state for iteration in result["halve"].iterations] == ["success", "failed", "success"]
        with pytest.raises(ValueError, match="3") as caught:
            run_job(one)
        (note,) = caught.value.__notes__
        assert note.startswith("raised by the task `halve[1]` of the job `one`, ")


@task(io_manager=lake)
def days(day: dt.date) -> pl.DataFrame:
    return pl.DataFrame({"day": [day]})


@job
def shown(day: dt.date = dt.date(2024, 1, 1)) -> None:
    table = days(day)
    show = native_task(
        "show",
        notebook_task={"notebook_path": "show.py", "base_parameters": {"table": table.uri, "day": day}},
        depends_on=[table],
    )

    @task
    def tell(rows: int) -> str:
        return f"{rows} rows shown"

    tell(show.value("rows"))


class TestNativeTasks:
    def test_they_are_skipped(self) -> None:
        """Their fields are there with references resolved; what they would have set is given."""
        result = run_job(shown, day=dt.date(2024, 5, 6), task_values={"show": {"rows": 3}})
        assert result.states == {"days": "success", "show": "skipped", "tell": "success"}
        assert result["show"].fields["notebook_task"]["base_parameters"] == {
            "table": "${var.root}/days",
            "day": "2024-05-06",
        }
        assert result["tell"].value == "3 rows shown"
        assert (
            run_job(shown, variables={"root": "/x"}, until="show")["show"].fields["notebook_task"]["base_parameters"][
                "table"
            ]
            == "/x/days"
        )
        with pytest.raises(RunError, match="the task `show` has set no value `rows`"):
            run_job(shown)

    def test_a_default_that_follows_the_run_reaches_them_as_the_platform_has_it(self) -> None:
        """The reference behind run_date() is the moment of the trigger, which is of that day in UTC."""

        @job
        def one(day: dt.date = run_date()) -> None:
            native_task("show", notebook_task={"notebook_path": "x.py", "base_parameters": {"day": day}})

        result = run_job(one, started=dt.datetime(2024, 3, 1, 5, tzinfo=dt.UTC))
        assert result.parameters == {"day": dt.date(2024, 3, 1)}
        assert result["show"].fields["notebook_task"]["base_parameters"] == {"day": "2024-03-01T05:00:00+00:00"}

    def test_a_moved_default_reaches_them_as_the_date_that_a_function_leaves(self) -> None:
        """The nearest function upstream leaves it, whether its result is given or not."""

        @task
        def count() -> int:
            return 3

        @job
        def one(day: dt.date = run_date(offset_days=-1)) -> None:
            chosen = condition(day, "==", dt.date(2024, 2, 29)).after(count())
            given = {"day": day, "text": "as it is"}
            chosen.then(native_task("show", notebook_task={"notebook_path": "x.py", "base_parameters": given}))

        for inputs in ({}, {"count": 3}):
            result = run_job(one, started=dt.datetime(2024, 3, 1, 5, tzinfo=dt.UTC), inputs=inputs)
            assert result["show"].fields["notebook_task"]["base_parameters"] == {
                "day": "2024-02-29",
                "text": "as it is",
            }
            assert result["count"].task_values == {}
        assert run_job(one, day=dt.date(2024, 1, 1))["show"].state == "excluded"

    def test_a_result_that_is_given_needs_no_task_values(self) -> None:
        """What its function would set, and a native task refers to, is given as well, or stays a reference."""

        @task
        def count() -> int:
            set_task_value("rows", 3)
            return 3

        @task
        def forgets() -> int:
            return 3

        @job
        def one() -> None:
            given = {"rows": count().value("rows")}
            native_task("show", notebook_task={"notebook_path": "x.py", "base_parameters": given})

        @job
        def two() -> None:
            condition(forgets().value("rows"), ">", 3)

        def shown(**given: Any) -> Any:
            return run_job(one, **given)["show"].fields["notebook_task"]["base_parameters"]["rows"]

        assert shown() == "3"
        assert shown(inputs={"count": 3}, task_values={"count": {"rows": 4}}) == "4"
        assert shown(inputs={"count": 3}) == "{{tasks.count.values.rows}}"
        with pytest.raises(RunError, match="the task `forgets` has not set the task value `rows`, which"):
            run_job(two)
        with pytest.raises(RunError, match="which has no value in this run"):
            run_job(two, inputs={"forgets": 3})

    def test_a_moved_default_needs_a_function(self) -> None:
        """The platform has only the moment, of which run_date(offset_days=-1) is another day; so has a condition."""

        @task
        def count() -> int:
            return 3

        @job
        def one(day: dt.date = run_date(offset_days=-1), today: dt.date = run_date()) -> None:
            native_task("show", notebook_task={"notebook_path": "x.py", "base_parameters": {"day": day}})
            condition(today, "==", dt.date(2024, 2, 29), key="same")
            behind = native_task("late", notebook_task={"notebook_path": "x.py", "base_parameters": {"day": day}})
            condition(1, "==", 2).then(count().after(behind))

        with pytest.raises(AuthoringError) as error:
            run_job(one)
        told = [problem.message.partition(", but the")[0] for problem in error.value.problems]
        assert told == [
            "the task `show` uses the job parameter `day`",
            "the task `same` uses the job parameter `today`",
            "the task `late` uses the job parameter `day`",
        ]

    def test_a_function_stands_for_one(self) -> None:
        """It gets the fields, may set task values, and what it raises fails the task."""

        def notebook(fields: Mapping[str, Any]) -> None:
            set_task_value("rows", len(fields["notebook_task"]["base_parameters"]))

        assert run_job(shown, replace={"show": notebook})["tell"].value == "2 rows shown"
        result = run_job(shown, replace={"show": lambda fields: fields["absent"]}, raise_on_error=False)
        assert result.states["show"] == "failed"
        assert isinstance(result.error, KeyError)


@job
def inner(n: int = 0) -> None:
    found = count(n)

    @task
    def double(n: int) -> int:
        return n * 2

    double(found)


@job
def outer(n: int = 4) -> None:
    inner(n) >> few(n)


class TestOtherJobs:
    def test_they_run_with_their_parameters(self) -> None:
        """The run of the other job is in the result of its task."""
        result = run_job(outer)
        assert result.states == {"inner": "success", "few": "success"}
        assert result["inner"].run is not None
        assert result["inner"].run.outputs == {"count": 4, "double": 8}

    def test_their_tasks_are_reached_by_a_path(self) -> None:
        """Results and functions are given as `job/task`; the whole run may be replaced or taken as done."""
        assert run_job(outer, inputs={"inner/count": 10})["inner/double"].value == 20
        fakes = {"inner/double": lambda n: n * 3}
        result = run_job(outer, replace=fakes)
        assert result["inner/double"].value == 12
        with pytest.raises(RunError, match="the job `inner` has no task `doubel`"):
            result["inner/doubel"]
        with pytest.raises(RunError, match="the job `outer` has no task `few/double`"):
            result["few/double"]
        assert run_job(outer, inputs={"inner": None})["inner"].run is None
        fields: list[Any] = []
        run_job(outer, replace={"inner": fields.append})
        assert fields[0]["run_job_task"]["job_parameters"] == {"n": "4"}
        with pytest.raises(RunError, match="did you mean `inner/double`"):
            run_job(outer, inputs={"inner/duble": 1})

    def test_their_failures_are_this_jobs(self) -> None:
        """What one of their tasks raises is raised."""

        def broken(n: int) -> int:
            raise LookupError(n)

        with pytest.raises(LookupError):
            run_job(outer, replace={"inner/double": broken})
        result = run_job(outer, replace={"inner/double": broken}, raise_on_error=False)
        assert result.states == {"inner": "failed", "few": "upstream failed"}


class TestTheRun:
    def test_a_task_knows_its_run(self) -> None:
        """Context, bundle variables, secrets, task values of others and the logger are there as in any run."""

        @job
        def one(top: int = 1) -> None:
            @task
            def leave() -> None:
                set_task_value("x", [1])

            @task
            def ask() -> dict[str, Any]:
                run = context()
                return {
                    "task": run.task,
                    "top": run.parameters["top"],
                    "date": str(run.run_date),
                    "attempt": run.attempt,
                    "logger": run.logger.name,
                    "x": get_task_value("leave", "x"),
                    "none": get_task_value("leave", "y", None),
                    "place": lake.uri("x"),
                }

            leave() >> ask()

        result = run_job(one, started=dt.datetime(2024, 1, 2, 23, tzinfo=dt.UTC), variables={"root": "/lake"})
        assert result["ask"].value == {
            "task": "ask",
            "top": 1,
            "date": "2024-01-02",
            "attempt": 1,
            "logger": "dbxdec.task.ask",
            "x": [1],
            "none": None,
            "place": "/lake/x",
        }
        alone = run_task(one, "ask", task_values={"leave": {"x": 5, "y": 6}}, variables={"root": "/l"})
        assert (alone.value["x"], alone.value["none"]) == (5, 6)

    def test_parameters_with_names_of_options(self) -> None:
        """They go into `parameters`, typed as any other."""

        @job
        def one(tables: list[str] = [], inputs: Colour = Colour.RED) -> None:  # noqa: B006
            @task
            def show(tables: list[str], inputs: Colour) -> str:
                return f"{tables} {inputs}"

            show(tables, inputs)

        assert run_job(one, parameters={"tables": ["a"], "inputs": Colour.BLUE})["show"].value == "['a'] Colour.BLUE"

    def test_fan_in_variadic_and_default_arguments(self) -> None:
        """Lists, dicts, *args and **kwargs of results arrive in place; `reads` has them by parameter."""

        @task
        def gather(*numbers: int, factor: int = 10, **named: int) -> int:
            return factor * sum(numbers) + sum(named.values())

        @task
        def pick(both: list[int], by_name: dict[str, int]) -> int:
            return both[1] + by_name["a"]

        @job
        def one() -> None:
            a, b = count.override(key="a")(1), count.override(key="b")(2)
            gather(a, b, left=a)
            pick([a, b], {"a": a})

        result = run_job(one)
        assert result["gather"].value == 31
        assert result["gather"].reads == {"numbers": (1, 2), "named": {"left": 1}}
        assert result["pick"].reads == {"both": [1, 2], "by_name": {"a": 1}}


@task
def small(n: int) -> int:
    return n


@job
def shows(n: int) -> None:
    small(n)


@job
def partly(n: int = 2) -> None:
    @task
    def items(n: int) -> list[str]:
        return ["a", "b"][:n]

    @task
    def one(item: str) -> str:
        return item

    @task
    def last() -> None: ...

    found = items(n)
    one(each(found))
    number = small.override(key="number")(n)
    condition(number, ">", 1, key="many").then(last())
    shows(number)


@pytest.mark.parametrize(("key", "absent"), [("one", "items"), ("many", "number"), ("shows", "number")])
def test_a_task_needs_the_values_of_tasks_that_are_left_out(key: str, absent: str) -> None:
    """Its items, its condition or its parameters: the task that has not run is named, and what to do."""
    with pytest.raises(
        RunError, match=f"`{absent}` did not run in this run .not selected.*but `{key}` needs it"
    ) as error:
        run_job(partly, tasks=key)
    assert f"--from {absent} --until {key}" in str(error.value)
    given = {"items": ["x"], "number": 5}[absent]
    assert run_job(partly, tasks=key, inputs={absent: given}).states[key] == "success"
