"""Checks of whole jobs: cycles, places, inputs and references that may be missing, runs of other jobs."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from authored import Frame, Shelf
from dbxdec import bundle_variable, condition, job, native_task, run_date, task
from dbxdec.authoring.jobs import Job
from dbxdec.errors import Problem, SourceLocation
from dbxdec.model import checks, dag, warning_checks

WHERE = SourceLocation("m.py", 1)
shelf = Shelf()


@task
def step() -> None: ...


def found(*jobs: Job[...]) -> list[Problem]:
    """The problems of jobs together; each of them can be built."""
    built = [one.build() for one in jobs]
    assert [problem for one in built for problem in one.problems] == []
    return checks.check([one.dag for one in built])


class TestCycles:
    def test_tasks_behind_a_cycle_are_no_part_of_it(self) -> None:
        """One that only waits for tasks of the cycle could run once it is broken: nothing is said of it."""

        @job
        def circle() -> None:
            before, last, a, b = (step.override(key=key)() for key in ("before", "last", "a", "b"))
            before >> a >> b >> a
            b >> last

        (problem,) = found(circle)
        assert problem.message == "tasks of the job `circle` wait for each other: a -> b -> a"

    def test_each_cycle_is_told(self) -> None:
        """Two that have nothing to do with each other are two mistakes."""

        @job
        def circles() -> None:
            a, b, c, d = (step.override(key=key)() for key in "abcd")
            a >> b >> a
            c >> d >> c

        assert [problem.message.partition(": ")[2] for problem in found(circles)] == ["a -> b -> a", "c -> d -> c"]

    def test_a_task_that_waits_for_itself_is_a_cycle(self) -> None:
        """Whatever has made such a job."""
        waiting = dag.Task("a", "m:f", WHERE, {}, {}, (dag.Dependency("a"),))
        (problem,) = checks.check([dag.Job("j", "m", "m:j", WHERE, (waiting,))])
        assert problem.message == "tasks of the job `j` wait for each other: a -> a"

    @pytest.mark.parametrize("called_at", [None, SourceLocation("jobs.py", 7)])
    def test_a_mistake_of_a_call_is_where_the_call_is(self, called_at: SourceLocation | None) -> None:
        """Of a task without a call in the job, such as one of a manifest, it is where its function is."""
        table = {"result": dag.Output("dbxdec.io_managers:PolarsDeltaIoManager", "/lake/x")}
        inside = {"result": dag.Output("dbxdec.io_managers:PolarsDeltaIoManager", "/lake/x/y")}
        own = (dag.Dependency("a"),)
        circle = dag.Task("a", "m:f", WHERE, {}, table, depends_on=own, called_at=called_at)
        within = dag.Task("b", "m:f", WHERE, {}, inside, called_at=called_at)
        jobs = [dag.Job(f"of_{one.key}", "m", "m:j", WHERE, (one,)) for one in (circle, within)]
        said = {problem.message.partition(" /lake")[0]: problem.where for problem in checks.check(jobs)}
        place = called_at or WHERE
        assert said == {"tasks of the job `of_a` wait for each other: a -> a": place, "of_b.b writes": place}

    def test_a_job_may_run_jobs_of_a_cycle(self) -> None:
        """Only the jobs of the cycle are named, once, from the first by name."""
        jobs = _running({"outer": ["left"], "left": ["right"], "right": ["left"], "far": ["outer", "far"]})
        messages = [problem.message for problem in checks.check(jobs)]
        assert messages == [
            "jobs run each other in a cycle: left -> right -> left",
            "jobs run each other in a cycle: far -> far",
        ]

    @pytest.mark.parametrize(("key", "wrong"), [("_load", True), ("load_", True), ("a__b-c", False), ("l", False)])
    def test_a_job_that_no_reference_finds_is_run_by_none(self, key: str, wrong: bool) -> None:
        """The bundle would leave `${resources.jobs....id}` as it is."""
        said = f"the task `run_{key}` runs the job `{key}`, to whose key no bundle can refer"
        found = [problem.message for problem in checks.check(_running({"outer": [key], key: []}))]
        assert found == ([said] if wrong else [])

    def test_the_shortest_way_round_is_told(self) -> None:
        """Of several cycles through a job."""
        jobs = _running({"a": ["b", "c"], "b": ["c"], "c": ["a"]})
        assert [problem.message for problem in checks.check(jobs)] == ["jobs run each other in a cycle: a -> c -> a"]


def _running(runs: dict[str, list[str]]) -> list[dag.Job]:
    """Jobs that run jobs."""
    return [
        dag.Job(
            key,
            "m",
            f"m:{key}",
            WHERE,
            tuple(
                dag.Task(f"run_{other}", None, WHERE, {}, {}, kind="run_job", settings=_of_run(other))
                for other in others
            ),
        )
        for key, others in runs.items()
    ]


def _of_run(key: str) -> dict[str, Any]:
    return {"run_job_task": {"job_id": f"${{resources.jobs.{key}.id}}"}}


class TestPlaces:
    @pytest.mark.parametrize(
        ("place", "said"),
        [
            ("s3//bucket", "uses s3//bucket/orders, which has no `:` after its scheme"),
            ("s3:/bucket", "uses s3:/bucket/orders, which has one slash after `s3:` instead of two"),
            (
                "gs:///bucket",
                "uses gs:///bucket/orders, which has 3 slashes after `gs:`, so it names no bucket or container",
            ),
            ("hdfs:///lake", None),
            ("s33://bucket", "uses s33://bucket/orders, which has the unknown scheme `s33`"),
            ("s3://bucket", None),
            ("hdfs://host:8020/lake", None),
            ("hdfs:/lake", None),
            ("lake", None),
            (bundle_variable("root"), None),
        ],
    )
    @pytest.mark.parametrize("reads", [True, False])
    def test_a_misspelt_scheme_is_no_place(self, place: Any, said: str | None, reads: bool) -> None:
        """Of a table that a task writes, or reads; a variable has its value at deploy."""
        table = Shelf(place).table("orders")

        @task
        def read(table: Frame) -> None: ...

        @task(io_manager=table)
        def write() -> Frame:
            return Frame()

        @job
        def one() -> None:
            if reads:
                read(table)
            else:
                write()

        messages = [problem.message for problem in found(one)]
        assert messages == ([] if said is None else [f"the task `one.{'read' if reads else 'write'}` {said}"])

    def test_a_place_of_hdfs_without_a_host_is_one_place(self) -> None:
        """However many slashes it has; after two comes a host."""
        assert checks.place("hdfs:/lake/a") == checks.place("hdfs:///lake/a") == checks.place("HDFS:////lake/a")
        assert checks.place("hdfs://lake/a") != checks.place("hdfs:///lake/a")

    @pytest.mark.parametrize(
        ("place", "said"),
        [
            ("lake/{day}", "{day} is not a placeholder"),
            ("lake/${bundle.name}", "${bundle.name} has no value in a run"),
            ("lake/{job}/{task}", None),
            (bundle_variable("root"), None),
        ],
    )
    def test_what_a_run_does_not_fill_in_is_no_place(self, place: Any, said: str | None) -> None:
        """It would become the name of a folder."""

        @task(io_manager=Shelf(place))
        def write() -> Frame:
            return Frame()

        @job
        def one() -> None:
            write()

        messages = [problem.message for problem in found(one)]
        assert messages == ([] if said is None else [f"the task `one.write` writes {place}/write, but {said}"])


class TestConditions:
    def test_a_date_of_the_run_may_be_compared(self) -> None:
        """Its default is a moment that the run turns into a date, and no string that a condition would get."""

        @job
        def daily(day: dt.date = run_date(offset_days=-1)) -> None:
            condition(day, "==", dt.date(2024, 1, 1)).after(step()).then(step.override(key="later")())

        assert found(daily) == []

    def test_what_has_its_value_only_in_a_run_is_not_compared_at_build(self) -> None:
        """A parameter without a default, or with a bundle variable as its default."""

        @job
        def daily(level: int, root: int = bundle_variable("root")) -> None:
            condition(level, "==", 3, key="level").then(step())
            condition(root, "==", 3, key="root").then(step.override(key="other")())

        assert found(daily) == []

    def test_a_default_that_no_branch_would_meet_is_a_mistake(self) -> None:
        """The platform compares strings, and 3.50 is not 3.5."""

        @job
        def daily(rate: Decimal = Decimal("3.50")) -> None:
            condition(rate, "==", Decimal("3.5")).then(step())

        (problem,) = found(daily)
        assert problem.message == "the job parameter `rate` is '3.50' by default"


class TestMissing:
    def test_the_first_reason_by_name_is_told(self) -> None:
        """Of several branches that an input needs; a build says the same each time."""

        @task(io_manager=shelf)
        def load() -> Frame:
            return Frame()

        @task
        def read(frame: Frame) -> None: ...

        @job
        def branching(a: int = 1) -> None:
            ways = [condition(a, "==", i, key=f"c{i}") for i in range(9)]
            loaded = load.override(depends_on=[way.true for way in reversed(ways)])()
            always = step()
            read(loaded).after(always)
            shown = {"notebook_path": "show", "base_parameters": {"rows": loaded.value("rows")}}
            native_task("show", notebook_task=shown, depends_on=[always])

        reasons = [p.message.partition(", which ")[2] for p in found(branching)]
        assert [reason.partition(":")[0] for reason in reasons] == ["runs only if the condition `c0` is true"] * 2

    @pytest.mark.parametrize(
        ("run_if", "wrong"),
        [("ALL_DONE", True), ("AT_LEAST_ONE_SUCCESS", True), ("ALL_SUCCESS", False), (None, False)],
    )
    def test_a_reference_to_what_may_have_failed_is_a_mistake(self, run_if: str | None, wrong: bool) -> None:
        """The platform would hand on its letters where there is no value."""

        @task
        def count() -> int:
            return 1

        @job
        def counting() -> None:
            fields: dict[str, Any] = {} if run_if is None else {"run_if": run_if}
            native_task("show", notebook_task={"notebook_path": "show", "base_parameters": {"n": count()}}, **fields)

        messages = [problem.message for problem in found(counting)]
        assert len(messages) == wrong
        for message in messages:
            assert message.startswith(
                "the task `show` refers to a value of the task `count`, which may have failed: the platform"
            )


@pytest.mark.parametrize("run_if", ["ALL_DONE", "NONE_FAILED", "ALL_SUCCESS"])
def test_run_if_of_a_task_that_waits_for_none_is_warned_of(run_if: Any) -> None:
    """Only tasks of which one waits for another have something to go by."""

    @job
    def daily() -> None:
        @task(run_if=run_if)
        def alone() -> None: ...

        @task(run_if=run_if)
        def late() -> None: ...

        alone() >> late()

    messages = [warning.message for warning in warning_checks.warn([daily.build(__name__).dag])]
    assert [m for m in messages if "no effect" in m] == [
        f"the task `alone` of the job `daily` has run_if={run_if}, which has no effect: it waits for no task"
    ]
