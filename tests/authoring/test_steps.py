"""Conditions, native tasks, runs of other jobs, and on_failure: what they record, and what they become."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import pytest
from databricks.bundles.jobs import Job as BundleJob

from dbxdec import (
    DeltaMerge,
    IoManager,
    bundle_variable,
    condition,
    handled,
    job,
    job_cluster,
    native_task,
    run_date,
    secret,
    task,
)
from dbxdec.authoring.jobs import BuiltJob, Job
from dbxdec.build.codegen import build_jobs
from dbxdec.errors import AuthoringError
from dbxdec.io_managers import PolarsDeltaIoManager
from dbxdec.io_managers.contexts import InputContext, OutputContext
from dbxdec.model import checks, dag, warning_checks
from dbxdec.model.job_forms import encode_jobs
from dbxdec.model.manifest import Manifest, decode, encode


class Frame:
    """What the manager of these tests stores."""


class Shelf(IoManager):
    base_path = "/lake"

    def read(self, context: InputContext) -> Frame:
        return Frame()

    def write(self, context: OutputContext, value: Any) -> None:
        """Nothing is stored here."""


shelf = Shelf()
small = job_cluster("small", spark_version="16.4.x-scala2.12", num_workers=1)


@task
def count() -> int:
    return 1


@task
def name() -> str:
    return "x"


@task(io_manager=shelf)
def extract() -> Frame:
    return Frame()


@task
def say(what: Any = None) -> None: ...


@task
def alarm() -> None: ...


def messages(built: BuiltJob) -> list[str]:
    return [problem.message for problem in built.problems]


def definitions(*jobs: Job[...]) -> dict[str, Any]:
    """The job definitions, by way of a manifest's bytes, each one taken by databricks-bundles."""
    built = [each.build() for each in jobs]
    assert [problem for each in built for problem in each.problems] == []
    assert checks.check([each.dag for each in built]) == []
    raw = encode_jobs([each.dag for each in built])
    made = build_jobs(decode(encode(Manifest("p", "1", "b" * 64, "dbxdec 0", raw)), "it"), wheel="dist/p.whl")
    for definition in made.values():
        BundleJob.from_dict(definition)  # type: ignore[arg-type]
    return made


def tasks_of(definition: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {form["task_key"]: form for form in definition["tasks"]}


class TestCondition:
    def test_it_becomes_a_condition_task_with_branches(self) -> None:
        """Sides become the platform's references, and `.then` and `.otherwise` dependencies with an outcome."""

        @job
        def branching(limit: int = 3) -> None:
            many = condition(count(), ">", limit, key="many")
            many.then(say.override(key="yes")()).otherwise(say.override(key="no")())

        tasks = tasks_of(definitions(branching)["branching"])
        assert tasks["many"]["condition_task"] == {
            "op": "GREATER_THAN",
            "left": "{{tasks.count.values.return_value}}",
            "right": "{{job.parameters.limit}}",
        }
        assert tasks["many"]["depends_on"] == [{"task_key": "count"}]
        assert tasks["yes"]["depends_on"] == [{"task_key": "many", "outcome": "true"}]
        assert tasks["no"]["depends_on"] == [{"task_key": "many", "outcome": "false"}]
        assert "environment_key" not in tasks["many"]
        assert "libraries" not in tasks["many"]

    @pytest.mark.parametrize(
        ("op", "emitted"),
        [("==", "EQUAL_TO"), ("!=", "NOT_EQUAL"), (">=", "GREATER_THAN_OR_EQUAL"), ("<", "LESS_THAN")],
    )
    def test_every_operator_has_the_platforms_name(self, op: Any, emitted: str) -> None:
        """Operators are written as in Python."""

        @job
        def comparing() -> None:
            condition(1, op, 2)

        assert tasks_of(definitions(comparing)["comparing"])["condition"]["condition_task"]["op"] == emitted

    @pytest.mark.parametrize(
        ("side", "text"),
        [(True, "true"), (3, "3"), (1.5, "1.5"), ("x", "x"), (dt.date(2024, 1, 2), "2024-01-02")],
    )
    def test_literals_are_the_text_that_parameters_have(self, side: Any, text: str) -> None:
        """A literal side is spelled as a job parameter or a task value of its type."""

        @job
        def comparing() -> None:
            condition(side, "==", bundle_variable("mode"))

        sides = tasks_of(definitions(comparing)["comparing"])["condition"]["condition_task"]
        assert (sides["left"], sides["right"]) == (text, "${var.mode}")

    def test_task_values_and_states_are_sides(self) -> None:
        """A task value or a state of a task is a side, and makes an edge."""

        @job
        def comparing() -> None:
            found = extract()
            condition(found.value("rows"), ">", 0, key="some")
            condition(found.state, "==", "success", key="fine")

        tasks = tasks_of(definitions(comparing)["comparing"])
        assert tasks["some"]["condition_task"]["left"] == "{{tasks.extract.values.rows}}"
        assert tasks["fine"]["condition_task"]["left"] == "{{tasks.extract.result_state}}"
        assert tasks["fine"]["depends_on"] == [{"task_key": "extract"}]

    def test_branches_go_into_depends_on(self) -> None:
        """`.true` and `.false` are dependencies of `override` and `native_task`."""

        @job
        def branching() -> None:
            chosen = condition(count(), "==", 1)
            say.override(key="a", depends_on=[chosen.true])()
            native_task("b", notebook_task={"notebook_path": "/x"}, depends_on=[chosen.false])

        tasks = tasks_of(definitions(branching)["branching"])
        assert tasks["a"]["depends_on"] == [{"task_key": "condition", "outcome": "true"}]
        assert tasks["b"]["depends_on"] == [{"task_key": "condition", "outcome": "false"}]

    def test_mistakes_are_noted_at_their_lines(self) -> None:
        """Unknown operators, order of texts, frames, and sides without a text are errors."""

        @job
        def wrong(mode: str = "a") -> None:
            condition(1, "=", 2, key="a")  # type: ignore[arg-type]
            condition(mode, ">", 2, key="b")
            condition(name(), "<", 2, key="c")
            condition(extract(), "==", 2, key="d")
            condition([1], "==", 2, key="e")
            condition("x", ">=", 2, key="f")
            condition(1, "==", 1, key="f").then(3)  # type: ignore[arg-type]
            condition(float("nan"), ">", 2, key="g")

        found = messages(wrong.build())
        assert len(found) == 9
        assert "operator '='" in found[0]
        assert "by size" in found[1]
        assert "`str`" in found[2]
        assert "can't refer to" in found[3]
        assert "[1]" in found[4]
        assert "'x' by size" in found[5]
        assert "already has a task `f`" in found[6]
        assert "3 can't depend on" in found[7]
        assert "compares nan" in found[8]


class TestUnwrittenInputs:
    def test_a_join_behind_a_branch_must_take_none(self) -> None:
        """A task that runs on both branches and reads one of them needs `| None`; one on the branch does not."""

        @task
        def join(a: Frame, b: Frame | None) -> None: ...

        @task
        def inside(a: Frame) -> None: ...

        @job
        def branching() -> None:
            left, right = extract.override(key="left")(), extract.override(key="right")()
            condition(count(), "==", 1).then(left).otherwise(right)
            inside(left)
            join(left, right)

        (problem,) = checks.check([branching.build().dag])
        reads = "the parameter `a` of the task `join` reads the task `left`"
        assert f"{reads}, which runs only if the condition `condition` is true" in problem.message
        assert problem.hint is not None
        assert "| None" in problem.hint

    def test_a_branch_guards_a_task_whatever_else_it_waits_for(self) -> None:
        """A task on a branch that also reads something else is left out with its branch, and so is what it writes."""

        @task
        def read(a: Frame, b: Frame) -> None: ...

        @job
        def branching() -> None:
            base, extra = extract.override(key="base")(), extract.override(key="extra")()
            chosen = condition(count(), "==", 1)
            chosen.then(extra.after(base))
            chosen.then(read(base, extra))
            read.override(key="late")(base, extra)

        (problem,) = checks.check([branching.build().dag])
        reads = "the parameter `b` of the task `late` reads the task `extra`"
        assert f"{reads}, which runs only if the condition `condition` is true" in problem.message

    def test_both_branches_at_once_never_run(self) -> None:
        """Each outcome has to be met, so a task on both branches is a mistake."""

        @job
        def branching() -> None:
            both = say()
            condition(count(), "==", 1).then(both).otherwise(both)

        (problem,) = checks.check([branching.build().dag])
        assert "`say` depends on both branches of the condition `condition`, so it never runs" in problem.message

    def test_a_reader_that_runs_after_failures_must_take_none(self) -> None:
        """With `run_if` that allows a failed producer, its result may be missing."""

        @task
        def read(a: Frame) -> None: ...

        @task
        def read_or_not(a: Frame | None) -> None: ...

        @job
        def late() -> None:
            found = extract()
            read.override(run_if="ALL_DONE")(found)
            read_or_not.override(run_if="ALL_DONE")(found)

        (problem,) = checks.check([late.build().dag])
        assert "`extract`, which may have failed" in problem.message


class TestNativeTask:
    def test_fields_pass_with_references_edges_and_compute(self) -> None:
        """References inside fields become the platform's, tasks among them edges; the job's cluster serves it."""

        @job(cluster=small)
        def mixed(day: dt.date = run_date()) -> None:
            found = extract()
            shown = native_task(
                "show",
                notebook_task={
                    "notebook_path": "notebooks/show",
                    "base_parameters": {"day": day, "rows": count(), "table": found.uri, "token": secret("s", "k")},
                },
                max_retries=1,
            )
            say(shown.value("seen"))
            native_task("query", sql_task={"warehouse_id": "w", "file": {"path": "sql/x.sql"}}).after(shown)

        tasks = tasks_of(definitions(mixed)["mixed"])
        assert tasks["show"]["notebook_task"]["base_parameters"] == {
            "day": "{{job.parameters.day}}",
            "rows": "{{tasks.count.values.return_value}}",
            "table": "/lake/extract",
            "token": "{{secrets/s/k}}",
        }
        assert tasks["show"]["depends_on"] == [{"task_key": "count"}, {"task_key": "extract"}]
        assert tasks["show"]["job_cluster_key"] == "small"
        assert tasks["show"]["max_retries"] == 1
        assert "job_cluster_key" not in tasks["query"]
        assert tasks["query"]["depends_on"] == [{"task_key": "show"}]
        assert tasks["say"]["depends_on"] == [{"task_key": "show"}]

    def test_mistakes_are_noted(self) -> None:
        """A frame inside a field, a result of a native task, and a call outside a job's body are errors."""

        @job
        def wrong() -> None:
            shown = native_task("a", notebook_task={"notebook_path": "/x", "base_parameters": {"f": extract()}})
            say(shown)

        found = messages(wrong.build())
        assert "which the platform can't refer to" in found[0]
        assert "the native task `a`, which has no result" in found[1]
        with pytest.raises(AuthoringError, match="outside a job's body"):
            native_task("b", notebook_task={"notebook_path": "/x"})


class TestRunJob:
    def test_a_job_called_in_a_job_runs_it_with_checked_parameters(self) -> None:
        """Literals, parameters and small results become texts of the other job's types."""

        @job
        def inner(day: dt.date, mode: Literal["a", "b"] = "a", top: int = 3) -> None:
            say(day)

        @job
        def outer(start: dt.date = run_date()) -> None:
            inner(start, top=count()) >> say()

        made = definitions(inner, outer)
        tasks = tasks_of(made["outer"])
        assert tasks["inner"]["run_job_task"] == {
            "job_id": "${resources.jobs.inner.id}",
            "job_parameters": {
                "day": "<dbxdec:run_date 0,0,UTC {{job.trigger.time.iso_datetime}}>{{job.parameters.start}}",
                "top": "{{tasks.count.values.return_value}}",
            },
        }
        assert tasks["say"]["depends_on"] == [{"task_key": "inner"}]

    def test_wrong_parameters_are_noted(self) -> None:
        """Unknown, missing, mistyped and surplus parameters are errors, as are jobs that nobody defines."""

        @job
        def inner(day: dt.date, top: int = 3) -> None:
            say(day)

        @job
        def outer(text: str = "x") -> None:
            inner(day=text, tops=1)  # type: ignore[call-arg, arg-type]
            native_task("b", notebook_task={"notebook_path": "/x"})

        @job
        def other() -> None:
            inner(top="many", day=secret("s", "k"))  # type: ignore[arg-type]

        @job
        def third() -> None:
            inner()  # type: ignore[call-arg]

        assert any("has no parameter `tops`" in m for m in messages(outer.build()))
        assert any("is `date`, but the job parameter `text` is `str`" in m for m in messages(outer.build()))
        assert any("does not take 'many'" in m for m in messages(other.build()))
        assert any("gets a secret" in m for m in messages(other.build()))
        assert any("needs a value for its parameter `day`" in m for m in messages(third.build()))

    def test_a_parameter_that_is_refused_keeps_its_place(self) -> None:
        """Its own job says what is wrong with it; values of the others are not taken for those of their neighbours."""

        @job
        def inner(day: dt.date, tags: set[str], top: int = 3) -> None:
            say(day)

        @job
        def outer(day: dt.date, text: str = "x") -> None:
            inner(day, text)  # type: ignore[arg-type]

        @job
        def named(day: dt.date, text: str = "x") -> None:
            inner(day=day, tags=text)  # type: ignore[arg-type]

        assert (messages(outer.build()), messages(named.build())) == ([], [])
        assert any("has the type `set[str]`" in m for m in messages(inner.build()))

    def test_unknown_jobs_and_circles_are_refused(self) -> None:
        """A run of a job that is not in the wheel, and jobs that run each other, are errors."""

        @job
        def lonely() -> None:
            say()

        @job
        def left() -> None:
            right()

        @job
        def right() -> None:
            left()

        @job
        def caller() -> None:
            lonely()

        (unknown,) = checks.check([caller.build().dag])
        assert "runs the job `lonely`, which no pipeline module" in unknown.message
        (circle,) = checks.check([left.build().dag, right.build().dag])
        assert "left -> right -> left" in circle.message


class TestOnFailure:
    def test_it_runs_behind_all_tasks_where_one_has_failed(self) -> None:
        """`on_failure` adds its task behind every other one, with run_if AT_LEAST_ONE_FAILED."""

        @job(on_failure=alarm)
        def guarded() -> None:
            extract() >> say()

        form = tasks_of(definitions(guarded)["guarded"])["alarm"]
        assert form["run_if"] == "AT_LEAST_ONE_FAILED"
        assert {d["task_key"] for d in form["depends_on"]} == {"extract", "say"}

    @pytest.mark.parametrize("run_if", ["ALL_DONE", "ALL_FAILED", "ALL_SUCCESS"])
    def test_its_own_run_if_would_have_no_effect(self, run_if: Any) -> None:
        """A handler that was meant to run always would not run where all tasks succeed."""

        @task(run_if=run_if)
        def tidy() -> None: ...

        @job(on_failure=handled(tidy))
        def guarded() -> None:
            extract()

        assert messages(guarded.build()) == [
            f'the task `tidy` runs where the job fails, so its run_if="{run_if}" would have no effect'
        ]
        again: Any = job(key="again", on_failure=tidy.override(run_if="AT_LEAST_ONE_FAILED"))(guarded.fn)
        assert messages(again.build()) == []

    def test_it_must_be_a_task_without_arguments(self) -> None:
        """A task that needs arguments, and anything but a task, are errors."""

        @task
        def needy(x: int) -> None: ...

        @job(on_failure=needy)  # type: ignore[arg-type]
        def guarded() -> None:
            extract()

        assert "needs a value for `x`" in messages(guarded.build())[0]
        with pytest.raises(AuthoringError, match="is not a task"):
            job(on_failure=print)  # type: ignore[call-overload]


DAILY: Any = {"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"}


class TestWarnings:
    def test_a_schedule_with_a_constant_date_or_mode_error_is_a_warning(self) -> None:
        """What starts by itself should not repeat one date, nor write where it may write only once."""

        class Once(Shelf):
            base_path = "${var.lake}"

            def settings(self) -> dict[str, Any]:
                return {"mode": "error"}

        @job(schedule=DAILY, io_manager=Once())
        def nightly(day: dt.date = dt.date(2024, 1, 1), fine: dt.date = run_date()) -> None:
            @task
            def write(day: dt.date) -> Frame:
                return Frame()

            write(day)

        found = [warning.message for warning in warning_checks.warn([nightly.build().dag])]
        assert len(found) == 2
        assert "`day` would be 2024-01-01 on every run" in found[0]
        assert 'mode="error"' in found[1]

    def test_a_merge_is_none_whatever_the_mode(self) -> None:
        """It runs as often as the job does; what the manifest calls its mode is a merge."""

        @job(schedule=DAILY, io_manager=PolarsDeltaIoManager(base_path="${var.lake}"))
        def nightly() -> None:
            @task
            def merged() -> DeltaMerge:
                raise NotImplementedError

            merged()

        built = nightly.build().dag
        assert built.task("merged").outputs["result"].settings["mode"] == "merge"
        assert warning_checks.warn([built]) == []

    def test_a_parameter_without_a_default_in_a_job_that_starts_by_itself_is_a_warning(self) -> None:
        """Nobody gives it a value then; started by people, the job asks for it."""

        def nightly(hour: dt.datetime, limit: int = 3) -> None:
            extract.override(io_manager=PolarsDeltaIoManager(base_path="${var.lake}", mode="append"))()

        (warning,) = warning_checks.warn([job(schedule=DAILY)(nightly).build().dag])
        assert "its parameter `hour` has no default: every such run will fail" in warning.message
        assert warning_checks.warn([job(nightly).build().dag]) == []

    def test_an_absolute_path_that_all_targets_share_is_a_warning(self) -> None:
        """A place without any bundle variable is the same in dev and prod."""

        @job
        def one() -> None:
            extract()

        (warning,) = warning_checks.warn([one.build().dag])
        assert "/lake/extract in every target of the bundle" in warning.message
        assert isinstance(one.build().dag.tasks[0], dag.Task)

        @job
        def many() -> None:
            for i in range(3):
                extract.override(key=f"extract_{i}")()

        (warning,) = warning_checks.warn([many.build().dag])
        assert warning.message == (
            "the task `many.extract_0` writes /lake/extract_0 in every target of the bundle; the same holds for "
            "2 other outputs of the job"
        )
