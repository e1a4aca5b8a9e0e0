"""Job definitions: what each part of a job becomes, and what the platform would not take."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from databricks.bundles.jobs import Job as BundleJob

from dbxdec import bundle_target, bundle_variable, environment, job, job_cluster, task
from dbxdec.authoring.jobs import Job
from dbxdec.codegen import build_jobs
from dbxdec.errors import CodegenError, SourceLocation
from dbxdec.manifest import Manifest, encode_jobs

BUILD = "b" * 64
WHEEL = "dist/p-1-py3-none-any.whl"
small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)


@task
def first(x: Any = None) -> int:
    return 1


@task
def second(x: Any = None) -> None: ...


def made(*jobs: Job[...], extra: tuple[str, ...] = ()) -> dict[str, Any]:
    """The definitions of jobs; each is taken whole by databricks-bundles."""
    built = [each.build() for each in jobs]
    assert [problem for each in built for problem in each.problems] == []
    manifest = Manifest("p", "1", BUILD, "dbxdec 0", encode_jobs([each.dag for each in built]), extra)
    definitions = build_jobs(manifest, wheel=WHEEL)
    for definition in definitions.values():
        loaded: Any = BundleJob.from_dict(definition).as_dict()  # type: ignore[arg-type]
        assert loaded == definition
    return definitions


def refused(*jobs: Job[...]) -> list[Any]:
    with pytest.raises(CodegenError) as error:
        made(*jobs)
    return list(error.value.problems)


class TestDefinition:
    def test_a_task_is_a_wheel_task_with_reserved_parameters(self) -> None:
        """Package, entry point and the platform's references are in each task; variables are one to a parameter."""

        @job(cluster=small)
        def one() -> None:
            second(first(f"{bundle_variable('root')}/{bundle_target()}"))

        tasks = made(one)["one"]["tasks"]
        assert tasks[0]["python_wheel_task"] == {
            "package_name": "p",
            "entry_point": "dbxdec-run",
            "named_parameters": {
                "dbxdec-package": "p",
                "dbxdec-job": "one",
                "dbxdec-task": "first",
                "dbxdec-build": BUILD,
                "dbxdec-workspace": "{{workspace.id}}",
                "dbxdec-run-id": "{{job.run_id}}",
                "dbxdec-attempt": "{{task.execution_count}}",
                "dbxdec-started": "{{job.start_time.timestamp_ms}}",
                "dbxdec-var-bundle.target": "${bundle.target}",
                "dbxdec-var-root": "${var.root}",
            },
        }
        assert tasks[1]["depends_on"] == [{"task_key": "first"}]

    def test_job_parameters_always_have_a_default(self) -> None:
        """None and a missing default have reserved texts; others are the texts of their types."""

        @job
        def one(day: dt.date, top: int = 3, mode: str | None = None, at: dt.date = dt.date(2024, 1, 2)) -> None:
            second([day, top, mode, at])

        assert made(one)["one"]["parameters"] == [
            {"name": "day", "default": "<dbxdec:required>"},
            {"name": "top", "default": "3"},
            {"name": "mode", "default": "<dbxdec:none>"},
            {"name": "at", "default": "2024-01-02"},
        ]

    def test_classic_tasks_have_libraries_and_no_environment(self) -> None:
        """The wheel comes first, then extra libraries, then the author's own."""

        @job(cluster=small)
        def one() -> None:
            first.override(libraries=[{"maven": {"coordinates": "a:b:1"}}])()

        definition = made(one, extra=("wheels/x.whl", "polars>=1"))["one"]
        (form,) = definition["tasks"]
        assert form["job_cluster_key"] == "small"
        assert form["libraries"] == [
            {"whl": WHEEL},
            {"whl": "wheels/x.whl"},
            {"pypi": {"package": "polars>=1"}},
            {"maven": {"coordinates": "a:b:1"}},
        ]
        assert definition["job_clusters"] == [
            {
                "job_cluster_key": "small",
                "new_cluster": {"spark_version": "16.4.x-scala2.12", "node_type_id": "m5d.large", "num_workers": 1},
            }
        ]
        assert "environments" not in definition
        assert "environment_key" not in form

    def test_serverless_tasks_have_an_environment_and_no_libraries(self) -> None:
        """A job without compute gets a default environment with the wheel among its dependencies."""

        @job
        def one() -> None:
            first()

        definition = made(one, extra=("polars>=1",))["one"]
        (form,) = definition["tasks"]
        assert form["environment_key"] == "default"
        assert definition["environments"] == [
            {
                "environment_key": "default",
                "spec": {"environment_version": "4", "dependencies": [WHEEL, "polars>=1"]},
            }
        ]
        assert "libraries" not in form

    def test_the_authors_environment_is_kept_and_gets_the_wheel(self) -> None:
        """Version and dependencies of an environment stay; a task on a cluster beside it stays classic."""
        lean = environment("lean", environment_version="3", dependencies=["polars"])

        @job(environment=lean)
        def one() -> None:
            first()
            second.override(cluster=small)()

        definition = made(one)["one"]
        assert definition["environments"] == [
            {"environment_key": "lean", "spec": {"environment_version": "3", "dependencies": [WHEEL, "polars"]}}
        ]
        lean_task, classic = definition["tasks"]
        assert lean_task["environment_key"] == "lean"
        assert classic["job_cluster_key"] == "small"
        assert classic["libraries"] == [{"whl": WHEEL}]
        assert "environment_key" not in classic

    def test_nothing_is_emitted_that_nobody_set(self) -> None:
        """An explicit default would defeat the bundle's development presets."""

        @job
        def one() -> None:
            first()

        definition = made(one)["one"]
        assert set(definition) == {"name", "environments", "tasks"}
        assert set(definition["tasks"][0]) == {"task_key", "python_wheel_task", "environment_key"}

    def test_fields_pass_untouched(self) -> None:
        """Fields of job and task are as the author wrote them; `name` replaces the key as the title."""
        schedule: Any = {"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"}

        @job(name="A title", schedule=schedule, tags={"team": "ops"}, max_concurrent_runs=2)
        def one() -> None:
            first.override(run_if="ALL_DONE", max_retries=-1, timeout_seconds=60)()

        definition = made(one)["one"]
        assert definition["name"] == "A title"
        assert definition["schedule"] == schedule
        assert definition["tags"] == {"team": "ops"}
        assert definition["max_concurrent_runs"] == 2
        (form,) = definition["tasks"]
        assert (form["run_if"], form["max_retries"], form["timeout_seconds"]) == ("ALL_DONE", -1, 60)


def jobs_with(**fields: Any) -> Job[[]]:
    """A job of one task with these fields."""

    @job(**fields)
    def one() -> None:
        first()

    return one


def task_with(**fields: Any) -> Job[[]]:
    """A job whose one task has these fields."""

    @job
    def one() -> None:
        first.override(**fields)()

    return one


class TestRefused:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (jobs_with(max_concurent_runs=1), "did you mean `max_concurrent_runs`?"),
            (jobs_with(max_concurrent_runs="1"), "`max_concurrent_runs` is '1' (str), not a whole number"),
            (jobs_with(max_concurrent_runs=True), "not a whole number"),
            (jobs_with(description={"a": 1}), "`description` is {'a': 1} (dict), not a text"),
            (jobs_with(tags={"a": 1}), "`tags['a']` is 1 (int), not a text"),
            (jobs_with(schedule={"timezone_id": "UTC"}), "`schedule.quartz_cron_expression` is missing"),
            (jobs_with(schedule=3), "not a dict with the fields of CronSchedule"),
            (jobs_with(queue={"enabled": "yes"}), "`queue.enabled` is 'yes' (str), not True or False"),
            (jobs_with(performance_target="STANDRD"), "did you mean `STANDARD`?"),
            (jobs_with(git_source={"git_url": "x", "git_provider": "gitHub"}), "git_source"),
            (jobs_with(tags={f"t{i}": "" for i in range(26)}), "26 tags"),
            (jobs_with(name="x" * 5000), "over 4096 bytes"),
            (jobs_with(description="${foo}"), "holds ${foo}, which a bundle can't resolve"),
            (task_with(max_retris=1), "did you mean `max_retries`?"),
            (task_with(email_notifications={"on_failure": "me"}), "`email_notifications.on_failure` is 'me' (str)"),
            (task_with(run_if="ALL_DNE"), "did you mean `ALL_DONE`?"),
            (task_with(libraries=[{"pypi": {"package": "x"}}]), "serverless and has `libraries`"),
            (task_with(key="not a key"), "'not a key' can't be the key of a task"),
            (task_with(key="x" * 101), "can't be the key of a task"),
        ],
    )
    def test_what_the_platform_would_not_take_is_an_error_at_its_line(self, wrong: Job[[]], said: str) -> None:
        """Unknown fields, wrong types, limits and references are errors at the job's or the task's line."""
        (problem,) = refused(wrong)
        assert said in str(problem)
        assert isinstance(problem.where, SourceLocation)
        assert problem.where.path.endswith("test_codegen.py")

    def test_references_that_the_bundle_knows_are_fine(self) -> None:
        """A whole reference may stand for any type, also for a number."""
        made(jobs_with(description="${workspace.current_user.userName}", max_concurrent_runs="${var.runs}"))

    def test_a_key_that_a_bundle_can_not_have_is_refused(self) -> None:
        """A job's key is a resource's key."""

        @job(key="1 job")
        def one() -> None:
            first()

        (problem,) = refused(one)
        assert "'1 job' can't be the key of a job" in problem.message

    def test_parameters_over_the_limit_are_refused(self) -> None:
        """Reserved and pushed down parameters together must stay below 10,000 bytes."""

        @job
        def one(text: str = "x" * 10_000) -> None:
            first(text)

        (problem,) = refused(one)
        assert "bytes as JSON" in problem.message

    def test_a_job_without_tasks_is_refused(self) -> None:
        """A job must call at least one task."""

        @job
        def one() -> None: ...

        (problem,) = refused(one)
        assert "has no task" in problem.message

    def test_over_a_thousand_tasks_are_refused(self) -> None:
        """The platform takes 1,000 tasks a job."""

        @job
        def one() -> None:
            for i in range(1001):
                first.override(key=f"t{i}")()

        (problem,) = refused(one)
        assert "1,001 tasks" in problem.message

    def test_all_mistakes_of_all_jobs_come_at_once(self) -> None:
        """Each mistake is one problem."""

        wrong: dict[str, Any] = {"descripton": "x", "tags": {"a": 1, "b": 2}}

        @job(key="a", **wrong)
        def one() -> None:
            first.override(max_retris=1, timeout_seconds="x")()

        @job(key="b", git_source={"git_url": "x", "git_provider": "gitHub"})
        def two() -> None:
            first()

        assert len(refused(one, two)) == 6
