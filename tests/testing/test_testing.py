"""`dbxdec.testing`: jobs and tasks run inside a test, as they would on the platform."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dbxdec import (
    DeltaMerge,
    RunError,
    bundle_variable,
    column,
    job,
    params,
    run_date,
    set_task_value,
    task,
)
from dbxdec.errors import AuthoringError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.testing import Lake, State, run_job, run_task

pytest_plugins = ["pytester"]

lake = PolarsDeltaIoManager(base_path=bundle_variable("root") / "{job}", mode="overwrite")
reference = PolarsDeltaIoManager(base_path=bundle_variable("root"))
DAY = dt.date(2024, 2, 29)


@task(io_manager=lake)
def extract(day: dt.date) -> pl.LazyFrame:
    return pl.LazyFrame({"id": [1, 2, 3], "day": [day] * 3})


@job
def daily(day: dt.date = run_date(offset_days=-1), top: int = 2) -> None:
    @task(io_manager=lake.table("gold/named"))
    def named(orders: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
        return orders.join(names, on="id", how="left")

    @task
    def count(named: pl.LazyFrame) -> int:
        set_task_value("columns", [*named.collect_schema().names()])
        return named.collect().height

    @task
    def report(count: int, columns: list[str], top: int) -> str:
        return f"{count} rows of {', '.join(columns)}; top {top} of {params.day}"

    joined = named(extract(day), reference.table("reference/names"))
    counted = count(joined)
    report(counted, counted.value("columns"), top)


def leave(value: int) -> int:
    raise SystemExit(0)


@job
def leaving() -> None:
    @task(io_manager=lake)
    def query() -> pl.LazyFrame:
        return pl.LazyFrame({"x": [1]}).select(pl.col("x").map_elements(leave, return_dtype=pl.Int64))

    query()


@pytest.mark.parametrize("in_memory", [True, False])
def test_sys_exit_in_a_query_ends_the_task_alone(in_memory: bool, tmp_path: Path) -> None:
    """The process of the test goes on, and the task has failed."""
    with pytest.raises(RunError, match=r"the task `query` called sys\.exit\(0\) while its result was stored"):
        run_job(leaving, in_memory=in_memory, variables={"root": str(tmp_path)})


NAMES = pl.DataFrame({"id": [1, 2], "name": ["one", "two"]})


class TestJob:
    def test_it_runs_with_its_tables_in_memory(self) -> None:
        """Parameters, frames, task values and small results reach those that ask; no variable is needed."""
        result = run_job(daily, day=DAY, top=1, tables={"reference/names": NAMES})
        assert result.states == {"extract": "success", "named": "success", "count": "success", "report": "success"}
        assert result.state is State.SUCCESS
        assert result["named"].value["name"].to_list() == ["one", "two", None]
        assert result["count"].value == 3
        assert result["count"].task_values == {"columns": ["id", "day", "name"]}
        assert result["report"].value == "3 rows of id, day, name; top 1 of 2024-02-29"
        assert result["report"].reads == {"count": 3, "columns": ["id", "day", "name"], "top": 1}
        assert result.parameters == {"day": DAY, "top": 1}
        assert set(result.outputs) == {"extract", "named", "count", "report"}
        assert_frame_equal(result.tables["gold/named"], result["named"].value)

    def test_given_results_take_the_place_of_tasks(self) -> None:
        """A task with a given result is not called; those behind it read what was given, in the type they ask for."""
        orders = pl.DataFrame({"id": [2], "day": [DAY]})
        result = run_job(daily, inputs={"extract": orders}, tables={"names": NAMES})
        assert isinstance(result["named"].reads["orders"], pl.DataFrame)
        assert result["named"].value.rows() == [(2, DAY, "two")]
        assert result["extract"].reads == {}
        assert result["count"].value == 1

    def test_a_default_follows_the_start_of_the_run(self) -> None:
        """`run_date` moves the date of `started`; the context has it as well."""
        result = run_job(daily, started=dt.datetime(2024, 3, 1, 6), tables={"names": NAMES})
        assert result.parameters == {"day": DAY, "top": 2}

    def test_no_task_changes_what_the_next_one_is_given(self) -> None:
        """Each has its own copy of a parameter, as the argument and in `params`, and so has the result of the run."""

        @job
        def lists(days: list[int] = [1]) -> None:  # noqa: B006 - a default of a job
            @task
            def one(days: list[int]) -> list[int]:
                days.append(2)
                params.days.append(3)
                return days

            @task
            def two(days: list[int], one: list[int]) -> list[int]:
                return [*days, *params["days"]]

            two(days, one(days))

        result = run_job(lists)
        assert result["two"].value == [1, 1]
        assert result.parameters == {"days": [1]}

    def test_a_task_alone(self) -> None:
        """Only it runs, with given results and parameters; what it stores is its value."""
        frame = pl.DataFrame({"id": [1, 5]})
        done = run_task(daily, "count", inputs={"named": frame})
        assert (done.value, done.state, done.task_values) == (2, "success", {"columns": ["id"]})
        assert run_task(
            daily, "report", inputs={"count": 7}, task_values={"count": {"columns": ["x"]}}, day=DAY
        ).value == ("7 rows of x; top 2 of 2024-02-29")

    def test_parts_of_a_job(self) -> None:
        """`until` and `tasks` choose as on the command line."""
        assert run_job(daily, until="named", tables={"names": NAMES}).states == {
            "extract": "success",
            "named": "success",
            "count": "not selected",
            "report": "not selected",
        }
        with pytest.raises(RunError, match=r"the task `named` did not run in this run \(not selected\)"):
            run_task(daily, "count")

    def test_functions_in_the_place_of_tasks(self) -> None:
        """A replacement is called with the task's own arguments, and what it returns is stored."""
        seen = []

        def fake(day: dt.date) -> pl.DataFrame:
            seen.append(day)
            return pl.DataFrame({"id": [9]})

        result = run_job(daily, day=DAY, until="named", replace={"extract": fake}, tables={"names": NAMES})
        assert seen == [DAY]
        assert result["named"].value.rows() == [(9, None)]


class TestFailures:
    def test_what_a_function_raises_is_raised(self, pytester: pytest.Pytester) -> None:
        """Its own traceback shows, without a frame of ours, and which task it was."""
        pytester.makepyfile(
            """
            from dbxdec import job, task
            from dbxdec.testing import run_job

            @job
            def one() -> None:
                @task
                def divide(x: int) -> int:
                    return x // 0

                divide(1)

            def test_it() -> None:
                run_job(one)
            """
        )
        done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
        done.stdout.fnmatch_lines(
            ["*run_job(one)*", "*return x // 0*", "E*ZeroDivisionError*", "E*raised by the task `divide`*"]
        )
        done.stdout.no_fnmatch_line("*dbxdec/testing/*")
        done.stdout.no_fnmatch_line("*execution.py*")

    def test_the_rest_runs_by_run_if(self) -> None:
        """Those behind a failure are upstream failed; `on_failure` and `run_if` see it."""

        @task
        def alarm() -> str:
            return "called"

        @job(on_failure=alarm)
        def one() -> None:
            @task
            def bad() -> int:
                raise ValueError("no")

            @task
            def behind(bad: int) -> None: ...

            @task
            def anyway(bad: int | None) -> str:
                return f"got {bad}"

            x = bad()
            behind(x)
            anyway.override(run_if="ALL_DONE")(x)

        result = run_job(one, raise_on_error=False)
        assert result.states == {
            "bad": "failed",
            "behind": "upstream failed",
            "anyway": "success",
            "alarm": "failed",
        }
        assert result.state == "failed"
        assert isinstance(result.error, ValueError)
        assert result["anyway"].value == "got None"
        with pytest.raises(RunError, match="handled; the run has failed tasks"):
            _ = result["alarm"].value
        with pytest.raises(RunError, match="the task `behind` has no result, its state is upstream failed"):
            _ = result["behind"].value
        with pytest.raises(ValueError, match="no") as caught:
            run_job(one)
        (note,) = caught.value.__notes__
        assert note.startswith(f"raised by the task `bad` of the job `one`, {__file__}:")

    def test_a_handler_of_failures_is_left_out_where_all_is_well(self) -> None:
        """`on_failure` is excluded."""

        @task
        def alarm() -> None: ...

        @job(on_failure=alarm)
        def one() -> None:
            @task
            def fine() -> None: ...

            fine()

        assert run_job(one).states == {"fine": "success", "alarm": "excluded"}

    def test_wrong_results_are_refused_as_on_the_platform(self) -> None:
        """A type that the annotation does not say, a type that the manager can't store, and a lazy query that fails."""

        @job
        def one(kind: str = "") -> None:
            @task
            def small(kind: str) -> int:
                return kind  # type: ignore[return-value]

            @task(io_manager=lake)
            def stored(kind: str) -> pl.DataFrame:
                return {"a": 1}  # type: ignore[return-value]

            @task(io_manager=lake)
            def lazy(kind: str) -> pl.LazyFrame:
                return pl.LazyFrame({"a": [1]}).select("b")

            @task(outputs={"good": lake.table("good"), "bad": lake.table("bad")})
            def split(kind: str) -> dict[str, pl.DataFrame]:
                return {"good": pl.DataFrame()}

            for each_task in (small, stored, lazy, split):
                each_task(kind)

        result = run_job(one, raise_on_error=False)
        assert set(result.states.values()) == {"failed"}
        assert [str(result[key].error).splitlines()[0] for key in ("small", "stored", "split")] == [
            "the task `small` returned a value that its annotation does not allow: expected int, got str ('')",
            "the task `stored` returned a dict, which PolarsDeltaIoManager can't store",
            "the task `split` returned a dict with the keys ['good'], but its outputs are `bad` and `good`",
        ]
        assert isinstance(result["lazy"].error, pl.exceptions.ColumnNotFoundError)

    def test_a_function_without_return_is_told_of_it(self) -> None:
        """For a small result at the task itself, for a table at its reader."""

        @job
        def one() -> None:
            @task
            def small() -> int:  # type: ignore[return]
                assert 3 + 4 == 7

            @task(io_manager=lake)
            def stored():  # type: ignore[no-untyped-def]
                pl.DataFrame({"a": [1]})

            @task
            def show(stored: pl.DataFrame) -> None: ...

            small()
            show(stored())

        result = run_job(one, raise_on_error=False)
        assert "hint: end the function with `return ...`" in str(result["small"].error)
        assert "else let `stored` return a result" in str(result["show"].error)

    def test_names_that_are_not_there(self) -> None:
        """All of them at once, with the nearest name."""
        with pytest.raises(RunError) as caught:
            run_job(
                daily,
                dya=DAY,
                inputs={"extrct": None},
                tables={"reference/name": NAMES},
                task_values={"cuont": {}},
                replace={"reprot": print},
                variables={"rot": "lake", "of_another_job": 1},
                input={},
                top="x",
            )
        assert [(p.message, p.hint) for p in caught.value.problems] == [
            ("the job `daily` has no parameter `dya`", "did you mean `day`?"),
            ("the job `daily` has no parameter `input`", "did you mean `inputs`?"),
            ("the job parameter `top`: expected int, got str ('x')", "give it a value of the type int"),
            ("`inputs` names `extrct`, which the job `daily` does not have", "did you mean `extract`?"),
            ("`task_values` names `cuont`, which the job `daily` does not have", "did you mean `count`?"),
            ("`replace` names `reprot`, which the job `daily` does not have", "did you mean `report`?"),
            ("`variables` names `rot`, which the job `daily` does not use", "did you mean `root`?"),
            (
                "`tables` names 'reference/name', which `daily` neither reads nor writes",
                "did you mean `reference/names`?",
            ),
        ]
        result = run_job(daily, tables={"names": NAMES})
        with pytest.raises(RunError, match="has no task `nmaed`\n    hint: did you mean `named`"):
            _ = result["nmaed"]
        with pytest.raises(RunError, match="no table 'gold/name'\n    hint: did you mean `gold/named`"):
            _ = result.tables["gold/name"]
        with pytest.raises(RunError, match="has no task `repotr`"):
            run_task(daily, "repotr")
        with pytest.raises(
            RunError, match=r'there is no table at <root>/reference/names(.|\n)*tables=\{"names": ...\}'
        ):
            run_job(daily)

    def test_a_job_that_the_build_refuses_does_not_run(self) -> None:
        """Every mistake of its body is in the error."""

        @job
        def wrong() -> None:
            @task
            def one(x: int) -> int:
                return x

            one(y=1)  # type: ignore[call-arg]
            one.override(key="two")("text")  # type: ignore[arg-type]
            extract(1)  # type: ignore[arg-type]

        with pytest.raises(AuthoringError, match="has no parameter `y`"):
            run_job(wrong)


def test_tables_in_memory_have_their_rules() -> None:
    """What a table computes is there for readers; rows that it refuses are an error that names the table."""
    lake = PolarsDeltaIoManager("lake", mode="append")
    columns = {"double": column(generated="x * 2"), "x": column(not_null=True)}

    @task(io_manager=lake.table("numbers", columns=columns, constraints={"positive": "x > 0"}))
    def numbers(x: int) -> pl.DataFrame:
        return pl.DataFrame({"x": [x]})

    @task
    def doubled(numbers: pl.DataFrame) -> int:
        return int(numbers["double"].sum())

    @job
    def daily(x: int) -> None:
        doubled(numbers(x))

    @task(io_manager=lake.table("merged", columns=columns, constraints={"positive": "x > 0"}))
    def merged(x: int) -> DeltaMerge:
        return DeltaMerge(pl.DataFrame({"x": [x]}), on="x")

    @job
    def merging(x: int) -> None:
        merged(x)

    tables = Lake()
    for x in (3, 3, 4):
        run_job(merging, x=x, tables=tables)
    assert sorted(tables["merged"]["double"]) == [6, 8]
    with pytest.raises(RunError, match="violate a rule of the table"):
        run_job(merging, x=-1, tables=tables)
    assert run_job(daily, x=3)["doubled"].value == 6
    with pytest.raises(RunError, match="violate a rule of the table lake/numbers"):
        run_job(daily, x=-3)
