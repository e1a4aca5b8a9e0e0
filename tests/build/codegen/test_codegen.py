"""Job definitions: what each part of a job becomes, and what the platform would not take."""

from __future__ import annotations

import datetime as dt
import inspect
from typing import Any

import pytest
from databricks.bundles.jobs import Job as BundleJob

from dbxdec import bundle_target, bundle_variable, condition, each, environment, job, job_cluster, native_task, task
from dbxdec.authoring.jobs import Job
from dbxdec.build.codegen import build_jobs
from dbxdec.build.codegen.environments import normalised, refusals
from dbxdec.build.codegen.jobs import job_definition
from dbxdec.build.codegen.libraries import Libraries
from dbxdec.errors import CodegenError, SourceLocation
from dbxdec.model.job_forms import encode_jobs
from dbxdec.model.manifest import Manifest

BUILD = "b" * 64
WHEEL = "dist/p-1-py3-none-any.whl"
needs_triggers = pytest.mark.skipif(
    "triggers" not in BundleJob.__dataclass_fields__, reason="this databricks-bundles has no `triggers`"
)
PERIODIC = {"periodic": {"interval": 1, "unit": "DAYS"}}
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


def refused(*jobs: Job[...], extra: tuple[str, ...] = ()) -> list[Any]:
    with pytest.raises(CodegenError) as error:
        made(*jobs, extra=extra)
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
                "dbxdec-triggered": "{{job.trigger.time.iso_datetime}}",
                "dbxdec-var-bundle.target": "${bundle.target}",
                "dbxdec-var-root": "${var.root}",
            },
        }
        assert tasks[1]["depends_on"] == [{"task_key": "first"}]

    def test_docstrings_are_descriptions(self) -> None:
        """A job's description is its docstring, a task's the first paragraph of its own; none gives no field."""

        @task
        def documented() -> int:
            """Count the orders
            of a day.

            The second paragraph is for readers of the code.
            """
            return 1

        @job
        def one() -> None:
            """Load the orders.

            Restart it when the shop was down.
            """
            documented() >> first()

        @job
        def two() -> None:
            second(each([1, 2]))

        definition = made(one)["one"]
        assert definition["description"] == "Load the orders.\n\nRestart it when the shop was down."
        assert [form.get("description") for form in definition["tasks"]] == ["Count the orders of a day.", None]
        assert "description" not in made(two)["two"]

    @pytest.mark.parametrize("given", ["mine", "", None])
    def test_a_description_of_the_authors_wins(self, given: str | None) -> None:
        """A description that is set stays, and one set to None or to an empty text is not filled from the docstring."""

        @task
        def documented() -> None:
            """Of the docstring."""

        @job(description=given)
        def one() -> None:
            """Of the docstring."""
            documented.override(description=given)()

        definition = made(one)["one"]
        wanted = {} if given is None else {"description": given}
        assert {k: v for k, v in definition.items() if k == "description"} == wanted
        assert {k: v for k, v in definition["tasks"][0].items() if k == "description"} == wanted

    def test_a_description_breaks_no_deploy(self) -> None:
        """References of the bundle in a docstring are text, what no terminal shows is left out, long ones are cut."""

        @task
        def long() -> None: ...

        long.fn.__doc__ = "ä" * 1000

        @task
        def iterated(n: int) -> None:
            """One of many."""

        @job
        def one() -> None:
            long()
            iterated(each([1, 2]))

        one.fn.__doc__ = "of ${foo} and ${var.x}\x1b[31m\ud800\r\n" + "x" * 30_000
        definition = made(one)["one"]
        tasks = definition["tasks"]
        assert definition["description"].startswith("of $ {foo} and $ {var.x}[31m\nxxx")
        assert (len(definition["description"].encode()), definition["description"][-4:]) == (27_700, "x...")
        assert (len(tasks[0]["description"].encode()), tasks[0]["description"][-4:]) == (999, "ä...")
        assert tasks[1]["description"] == "One of many."
        assert "description" not in tasks[1]["for_each_task"]["task"]

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

        extra = ("wheels/x.whl", "polars>=1", "y[a]@https://x.example/y-1-py3-none-any.whl")
        definition = made(one, extra=extra)["one"]
        (form,) = definition["tasks"]
        assert form["job_cluster_key"] == "small"
        assert form["libraries"] == [
            {"whl": WHEEL},
            {"whl": "wheels/x.whl"},
            {"pypi": {"package": "polars>=1"}},
            {"pypi": {"package": "y[a]@https://x.example/y-1-py3-none-any.whl"}},
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

    def test_a_base_environment_takes_the_place_of_the_version(self) -> None:
        """Either of them says what an environment starts from; the platform takes one."""
        based = environment("based", base_environment="/Workspace/env.yaml")

        @job(environment=based)
        def one() -> None:
            first()

        assert made(one)["one"]["environments"] == [
            {
                "environment_key": "based",
                "spec": {"base_environment": "/Workspace/env.yaml", "dependencies": [WHEEL]},
            }
        ]

    def test_the_default_environment_does_not_take_the_authors_key(self) -> None:
        """An author's environment called `default` is used by its own tasks only."""
        own = environment("default", dependencies=["polars"])

        @job
        def one() -> None:
            first()
            second.override(environment=own)()

        definition = made(one)["one"]
        keys = [form["environment_key"] for form in definition["tasks"]]
        assert keys == ["dbxdec-default", "default"]
        specs = {entry["environment_key"]: entry["spec"] for entry in definition["environments"]}
        assert specs["dbxdec-default"]["dependencies"] == [WHEEL]
        assert specs["default"]["dependencies"] == [WHEEL, "polars"]

    @pytest.mark.parametrize(
        "fields", [{"existing_cluster_id": "0101-x"}, {"new_cluster": {"spark_version": "16.4.x", "num_workers": 0}}]
    )
    def test_every_cluster_has_libraries(self, fields: Any) -> None:
        """A task on an existing or a new cluster of its own is classic, in a job without compute too."""
        definition = made(task_with(**fields))["one"]
        (form,) = definition["tasks"]
        assert form["libraries"] == [{"whl": WHEEL}]
        assert "environment_key" not in form
        assert "environments" not in definition

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"num_workers": 1}, {"new_cluster": {"num_workers": 1}}),
            ({"serverless_compute_id": "c"}, {"serverless_compute_id": "c"}),
            (
                {"serverless_compute_id": "c", "num_workers": 1},
                {"serverless_compute_id": "c", "new_cluster": {"num_workers": 1}},
            ),
            ({}, {"new_cluster": {}}),
        ],
    )
    def test_a_job_cluster_is_a_new_one_or_names_serverless_compute(
        self, fields: dict[str, Any], expected: dict[str, Any]
    ) -> None:
        """The one field that is none of a cluster stands beside it, and needs no cluster."""

        @job(cluster=job_cluster("any", **fields))
        def one() -> None:
            first()

        built = one.build()
        assert not built.problems
        definition = job_definition(built.dag, "p", BUILD, Libraries(WHEEL))
        assert definition["job_clusters"] == [{"job_cluster_key": "any", **expected}]

    def test_extra_libraries_reach_the_authors_environment(self) -> None:
        """Wheel, extra libraries and the author's dependencies stand in this order."""
        lean = environment("lean", dependencies=["polars"])

        @job(environment=lean)
        def one() -> None:
            first()

        (found,) = made(one, extra=("wheels/x.whl", "humanize >= 4"))["one"]["environments"]
        assert found["spec"]["dependencies"] == [WHEEL, "wheels/x.whl", "humanize>=4", "polars"]

    def test_none_is_not_set(self) -> None:
        """A field that is None is left out, as if it was never given."""
        unset: Any = None
        lean = environment("lean", dependencies=unset)

        @job(environment=lean, name=None, schedule=None, tags=unset)
        def one() -> None:
            first.override(max_retries=None)()
            second.override(cluster=small, libraries=unset)()

        definition = made(one)["one"]
        assert set(definition) == {"name", "job_clusters", "environments", "tasks"}
        assert definition["name"] == "one"
        assert "max_retries" not in definition["tasks"][0]
        assert definition["tasks"][1]["libraries"] == [{"whl": WHEEL}]

    def test_an_environment_of_a_task_inside_a_for_each_task_is_emitted(self) -> None:
        """A key that only the repeated task names is in use."""
        lean = environment("lean")
        inner: Any = {"task_key": "i", "spark_python_task": {"python_file": "a.py"}, "environment_key": "lean"}

        @job
        def one() -> None:
            second.override(environment=lean)()
            native_task("n", for_each_task={"inputs": "[]", "task": inner})

        assert [entry["environment_key"] for entry in made(one)["one"]["environments"]] == ["lean"]

    def test_settings_given_are_not_changed(self) -> None:
        """The author's dicts and lists stay as they are."""
        libraries: Any = [{"pypi": {"package": "x"}}]
        dependencies: Any = ["polars >= 1"]
        lean = environment("lean", dependencies=dependencies)

        @job(environment=lean)
        def one() -> None:
            first()
            second.override(cluster=small, libraries=libraries)()

        assert made(one) == made(one)
        assert libraries == [{"pypi": {"package": "x"}}]
        assert dependencies == ["polars >= 1"]

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


class TestRepeating:
    @pytest.mark.parametrize(
        ("cluster", "fields", "retries"),
        [
            (None, {}, {"max_retries": 0, "disable_auto_optimization": True}),
            (None, {"max_retries": 3}, {"max_retries": 0, "disable_auto_optimization": True}),
            (small, {}, {}),
            (small, {"max_retries": 3}, {"max_retries": 0}),
        ],
    )
    def test_a_failure_handler_is_not_tried_again(
        self, cluster: Any, fields: dict[str, Any], retries: dict[str, Any]
    ) -> None:
        """It always ends with an error; serverless would retry it by itself, a cluster only if told to."""

        @job(cluster=cluster, on_failure=second.override(key="alarm", **fields))
        def one() -> None:
            first()

        (alarm,) = (task for task in made(one)["one"]["tasks"] if task["task_key"] == "alarm")
        found = {name: alarm[name] for name in ("max_retries", "disable_auto_optimization") if name in alarm}
        assert found == retries

    def test_what_is_said_once_stands_outside_of_the_iterations(self) -> None:
        """Notifications, health and what the task is; retries, time limits and libraries are each iteration's."""
        outside: dict[str, Any] = {
            "description": "each",
            "disabled": False,
            "email_notifications": {"on_failure": ["a@example.com"]},
            "health": {"rules": [{"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": 9}]},
            "notification_settings": {"no_alert_for_skipped_runs": True},
            "webhook_notifications": {"on_failure": [{"id": "hook"}]},
        }
        inside: dict[str, Any] = {"max_retries": 2, "timeout_seconds": 9, "libraries": [{"pypi": {"package": "httpx"}}]}

        @job(cluster=small)
        def one() -> None:
            second.override(**outside, **inside)(each([1, 2]))

        (task,) = made(one)["one"]["tasks"]
        inner = task["for_each_task"]["task"]
        assert {name: task.get(name) for name in outside} == outside
        assert outside.keys().isdisjoint(inner)
        assert (inner["max_retries"], inner["timeout_seconds"]) == (2, 9)
        assert inner["libraries"] == [{"whl": WHEEL}, *inside["libraries"]]
        assert inside.keys().isdisjoint(task)

    def test_retries_of_other_tasks_stay(self) -> None:
        """As the author has set them."""

        @job
        def one() -> None:
            first.override(max_retries=3)()

        (task,) = made(one)["one"]["tasks"]
        assert (task["max_retries"], "disable_auto_optimization" in task) == (3, False)

    @pytest.mark.parametrize(("given", "found"), [({}, None), ({"concurrency": 4}, 4)])
    def test_how_many_iterations_run_at_once(self, given: dict[str, Any], found: int | None) -> None:
        """The platform decides where the author says nothing."""

        @job
        def one() -> None:
            second(each([1, 2], **given))

        (task,) = made(one)["one"]["tasks"]
        assert task["for_each_task"].get("concurrency") == found

    def test_a_branch_is_an_outcome_and_other_dependencies_have_none(self) -> None:
        """A task of a branch names the outcome of its condition."""

        @job
        def one() -> None:
            a = first()
            condition(a, "==", 1, key="is").then(second.override(key="yes")()).otherwise(second.override(key="no")())
            second.override(key="after")(a)

        found = {task["task_key"]: task.get("depends_on") for task in made(one)["one"]["tasks"]}
        assert found["yes"] == [{"task_key": "is", "outcome": "true"}]
        assert found["no"] == [{"task_key": "is", "outcome": "false"}]
        assert found["after"] == [{"task_key": "first"}]


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


def native(**fields: Any) -> Job[[]]:
    """A job whose one task is a native one with these fields."""

    @job
    def one() -> None:
        native_task("n", **fields)

    return one


def repeated(**fields: Any) -> Job[[]]:
    """A job whose one task repeats a task with these fields."""
    inner = {"task_key": "i", "spark_python_task": {"python_file": "a.py"}, **fields}
    return native(for_each_task={"inputs": "[]", "task": inner})


def in_environment(**spec: Any) -> Job[[]]:
    """A job in an environment with these fields."""

    @job(environment=environment("e", **spec))
    def one() -> None:
        first()

    return one


def on_cluster(new: dict[str, Any], /, **fields: Any) -> Job[[]]:
    """A job on a cluster with these fields, whose one task has the others."""

    @job(cluster=job_cluster("c", **new))
    def one() -> None:
        first.override(**fields)()

    return one


NOTEBOOK: Any = {"notebook_path": "a"}
BASIC: Any = {"spark_version": "16.4.x", "num_workers": 1}
NEW: Any = {"spark_version": "16.4.x"}


class TestRefused:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (jobs_with(max_concurent_runs=1), "did you mean `max_concurrent_runs`?"),
            (jobs_with(max_concurrent_runs="1"), "`max_concurrent_runs` is '1' (str), not an integer"),
            (jobs_with(max_concurrent_runs=True), "not an integer"),
            (jobs_with(description={"a": 1}), "`description` is {'a': 1} (dict), not a string"),
            (jobs_with(tags={"a": 1}), "`tags['a']` is 1 (int), not a string"),
            (jobs_with(schedule={"timezone_id": "UTC"}), "`schedule.quartz_cron_expression` is missing"),
            (jobs_with(schedule=3), "not a dict with the fields of CronSchedule"),
            (
                jobs_with(schedule="0 0 * * *"),
                'write `{"quartz_cron_expression": ..., "timezone_id": ...}`; it may have',
            ),
            (jobs_with(continuous=True), "its fields are"),
            (jobs_with(tags=["a"]), 'write `{"name": "value"}`'),
            (jobs_with(queue={"enabled": "yes"}), "`queue.enabled` is 'yes' (str), not True or False"),
            (jobs_with(performance_target="STANDRD"), "did you mean `STANDARD`?"),
            (jobs_with(git_source={"git_url": "x", "git_provider": "gitHub"}), "git_source"),
            (jobs_with(tags={f"t{i}": "" for i in range(26)}), "26 tags"),
            (jobs_with(name="x" * 5000), "over 4096 bytes"),
            (jobs_with(description="${foo}"), "holds ${foo}, which a bundle can't resolve"),
            (
                jobs_with(
                    schedule={"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"},
                    continuous={"pause_status": "PAUSED"},
                ),
                "`schedule` and `continuous` are both set",
            ),
            (
                jobs_with(schedule={"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"}, trigger=PERIODIC),
                "`schedule` and `trigger` are both set",
            ),
            (
                jobs_with(
                    schedule={"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"},
                    trigger=PERIODIC,
                    continuous={"pause_status": "PAUSED"},
                ),
                "`schedule`, `trigger` and `continuous` are all set",
            ),
            (jobs_with(max_concurrent_runs=2000), "`max_concurrent_runs` is 2000"),
            (jobs_with(max_concurrent_runs=-1), "`max_concurrent_runs` is -1"),
            (
                jobs_with(run_as={"user_name": "a", "service_principal_name": "b"}),
                "`run_as` has `user_name` and `service_principal_name`\n    hint: a job runs as one of them",
            ),
            (
                jobs_with(trigger={**PERIODIC, "file_arrival": {"url": "s3://a/b/"}}),
                "`trigger` has `file_arrival` and `periodic`\n    hint: a trigger is of one kind",
            ),
            (jobs_with(trigger={"pause_status": "PAUSED"}), "`trigger` has nothing that starts a run"),
            pytest.param(
                jobs_with(triggers=[PERIODIC, {"pause_status": "PAUSED"}]),
                "`triggers[1]` has nothing that starts a run",
                marks=needs_triggers,
            ),
            pytest.param(
                jobs_with(triggers=[{"schedule": {"quartz_cron_expression": "0 5 * * *", "timezone_id": "UTC"}}]),
                "`triggers[0].schedule.quartz_cron_expression` is '0 5 * * *'",
                marks=needs_triggers,
            ),
            (jobs_with(trigger={"periodic": {"interval": 0, "unit": "DAYS"}}), "`trigger.periodic.interval` is 0"),
            (
                jobs_with(trigger={"file_arrival": {"url": "s3://a/b/", "wait_after_last_change_seconds": 59}}),
                "`trigger.file_arrival.wait_after_last_change_seconds` is 59\n    hint: the platform takes 60 seconds",
            ),
            (
                jobs_with(trigger={"table_update": {"table_names": ["a.b.c"], "min_time_between_triggers_seconds": 0}}),
                "`trigger.table_update.min_time_between_triggers_seconds` is 0",
            ),
            pytest.param(
                jobs_with(
                    continuous={
                        "maintenance_window": {"day_of_week": "MONDAY", "start_hour": 24, "timezone_id": "UTC"},
                    }
                ),
                "`continuous.maintenance_window.start_hour` is 24\n    hint: 0 to 23",
                marks=needs_triggers,
            ),
            (jobs_with(permissions=[{"level": "CAN_VIEW"}]), "`permissions[0]` has nobody to whom it is given"),
            (
                jobs_with(permissions=[{"level": "CAN_VIEW", "user_name": "a", "group_name": "b"}]),
                "`permissions[0]` has `user_name` and `group_name`\n    hint: write an entry for each of them",
            ),
            (
                jobs_with(webhook_notifications={"on_failure": [{"id": str(i)} for i in range(4)]}),
                "`webhook_notifications.on_failure` has 4 destinations",
            ),
            (
                task_with(webhook_notifications={"on_start": [{"id": str(i)} for i in range(4)]}),
                "`webhook_notifications.on_start` has 4 destinations",
            ),
            (
                jobs_with(permissions=[{"level": "IS_OWNER", "user_name": name} for name in "ab"]),
                "`permissions` has 2 owners\n    hint: a job has one",
            ),
            (
                jobs_with(permissions=[{"level": "IS_OWNER", "group_name": "a"}]),
                "`permissions` makes a group the owner",
            ),
            (jobs_with(permissions=[{"level": "CAN_VIEW", "user_name": ""}]), "`permissions[0].user_name` is empty"),
            (
                jobs_with(trigger={"table_update": {"table_names": ["a.b"]}}),
                "`trigger.table_update.table_names[0]` is 'a.b'\n    hint: write `catalog.schema.table`",
            ),
            (
                jobs_with(trigger={"table_update": {"min_time_between_triggers_seconds": 60}}),
                "`trigger.table_update` has no `table_names`",
            ),
            (jobs_with(trigger={"file_arrival": {"url": ""}}), "`trigger.file_arrival.url` is empty"),
            (
                on_cluster({**BASIC, "autoscale": {"min_workers": 1, "max_workers": 2}}),
                "has both `num_workers` and `autoscale`",
            ),
            (
                on_cluster({**NEW, "autoscale": {"min_workers": 3, "max_workers": 2}}),
                "has `autoscale.min_workers` 3, more than `max_workers` 2",
            ),
            (
                on_cluster({**NEW, "autoscale": {"min_workers": -1, "max_workers": 2}}),
                "has `autoscale.min_workers` -1\n    hint: 0 or more",
            ),
            (
                on_cluster(BASIC, libraries=[{"pypi": {"package": "a"}, "whl": "/Volumes/a/b/c/d.whl"}]),
                "has a library of several kinds, `libraries[1]`: `pypi` and `whl`",
            ),
            (
                on_cluster(BASIC, libraries=[{"pypi": {"package": ""}}]),
                "has a library without a name, `libraries[1].pypi`",
            ),
            *(
                (
                    on_cluster(BASIC, libraries=[{"pypi": {"package": package}}]),
                    f"has the library `{package}`, which is not a package",
                )
                for package in ("-r requirements.txt", "--pre", "libs/x.tar.gz", "libs/x.jar", "acme lake", "a.txt")
            ),
            (
                on_cluster(BASIC, libraries=[{"pypi": {"package": "a", "repo": "https://u:p@h"}}]),
                "has a password or a token in https://***@h, of `libraries[1].pypi`",
            ),
            (
                on_cluster(
                    BASIC, libraries=[{"pypi": {"package": "Polars ==1.0"}}, {"pypi": {"package": "polars==1.1"}}]
                ),
                "has the libraries `Polars==1.0` and `polars==1.1`, which exclude each other",
            ),
            (
                jobs_with(continuous={"pause_status": "UNPAUSED"}, max_concurrent_runs=2),
                "`max_concurrent_runs` is 2 in a continuous job",
            ),
            (
                in_environment(client="2", environment_version="4"),
                "`environment_version` and `client` are set, of which one counts",
            ),
            (
                in_environment(dependencies=["polars==1.0", "httpx", "Polars>=1,<2", "polars==1.1", "polars==1.0"]),
                "the dependencies `polars==1.0` and `polars==1.1` exclude each other",
            ),
            (
                in_environment(dependencies=["my_lib>=2", "my-lib[a]==1.9"]),
                "the dependencies `my_lib>=2` and `my-lib[a]==1.9` exclude each other",
            ),
            (
                in_environment(dependencies=["polars>=2,<1"]),
                "the dependency `polars>=2,<1` excludes every version",
            ),
            (in_environment(dependencies=["polars>=1.0+cu118"]), "`polars>=1.0+cu118` is neither a requirement nor"),
            (in_environment(dependencies=["polars~=1"]), "the dependency `polars~=1` is neither a requirement nor"),
            *(
                (in_environment(dependencies=some), f"the dependency `{some[0]}` is neither a requirement nor")
                for some in (["polars~=1", "polars<2"], ["polars~=1,<2"], ["polars>=1+a", "Polars"], ["a<1+b,>2"])
            ),
            (
                on_cluster(BASIC, libraries=[{"pypi": {"package": "a~=1"}}, {"pypi": {"package": "a<2"}}]),
                "has the library `a~=1`, which is not a package",
            ),
            (
                on_cluster(BASIC, libraries=[{"pypi": {"package": "polars>=1"}}, {"pypi": {"package": "polars<0.5"}}]),
                "has the libraries `polars>=1` and `polars<0.5`, which exclude each other",
            ),
            (
                on_cluster(BASIC, libraries=[{"pypi": {"package": "polars>=2,<1"}}]),
                "has the library `polars>=2,<1`, which excludes every version",
            ),
            (jobs_with(timeout_seconds=-1), "`timeout_seconds` is -1\n    hint: 0 or more"),
            (task_with(max_retries=-2), "`max_retries` is -2\n    hint: -1 or more: -1 retries without end"),
            (on_cluster({**BASIC, "num_workers": -1}), "`num_workers` is -1"),
            (task_with(max_retris=1), "did you mean `max_retries`?"),
            (task_with(email_notifications={"on_failure": "me"}), "`email_notifications.on_failure` is 'me' (str)"),
            (task_with(run_if="ALL_DNE"), "did you mean `ALL_DONE`?"),
            (task_with(libraries=[{"pypi": {"package": "x"}}]), "serverless and has `libraries`"),
            (task_with(key="not a key"), "'not a key' can't be the key of a task"),
            (task_with(key="x" * 101), "can't be the key of a task"),
            (task_with(key="\u00e9"), "can't be the key of a task"),
            (jobs_with(name=True), "`name` is True (bool), not a string"),
            (jobs_with(tags=["a"]), "`tags` is ['a'] (list), not a dict"),
            (jobs_with(schedule=True), "`schedule` is True (bool), not a dict with the fields of CronSchedule"),
            (jobs_with(timeout_seconds=1.0), "`timeout_seconds` is 1.0 (float), not an integer"),
            (jobs_with(performance_target=["STANDARD"]), "`performance_target` is ['STANDARD']"),
            (
                jobs_with(health={"rules": [{"metric": "RUN_DURATION_SECOND", "op": "GREATER_THAN", "value": 1}]}),
                "`health.rules[0].metric` is 'RUN_DURATION_SECOND'\n    hint: did you mean `RUN_DURATION_SECONDS`?",
            ),
            (
                jobs_with(email_notifications={"on_failure": ["a", 1]}),
                "`email_notifications.on_failure[1]` is 1 (int), not a string",
            ),
            (
                jobs_with(schedule={"quartz_cron_expression": "0 0 5 * * ?", "timezone": "UTC", "timezone_id": "UTC"}),
                "`schedule` has no field `timezone`\n    hint: did you mean `timezone_id`?",
            ),
            (jobs_with(next_years_setting=1), "a field that is newer needs a newer databricks-bundles"),
            (jobs_with(description="${var.x"), "holds ${var.x, which"),
            (jobs_with(description="a ${HOME} b"), "`description` holds ${HOME}"),
            (jobs_with(tags={"a": "${vars.x}"}), "`tags.a` holds ${vars.x}"),
            (jobs_with(max_concurrent_runs="${foo}"), "`max_concurrent_runs` holds ${foo}"),
            (on_cluster({**BASIC, "num_worker": 1}), "the cluster `c` of the job `one`: there is no field"),
            (on_cluster({**BASIC, "num_workers": "5"}), "the cluster `c` of the job `one`: `num_workers` is '5' (str)"),
            (
                on_cluster({**NEW, "autoscale": {"min_workers": 1, "max_workers": True}}),
                "`autoscale.max_workers` is True (bool), not an integer",
            ),
            (on_cluster(BASIC, libraries="x"), "`libraries` is 'x' (str), not a list"),
            (on_cluster(BASIC, libraries=[{"pipy": {}}]), "`libraries[1]` has no field `pipy`"),
            (on_cluster(BASIC, libraries="${var.l}"), "to which the wheel can't be added"),
            (
                task_with(existing_cluster_id="x", environment=environment("e")),
                "several places: `environment_key` and `existing_cluster_id`",
            ),
            (on_cluster(BASIC, cluster=small, new_cluster=NEW), "several places: `job_cluster_key` and `new_cluster`"),
            (
                on_cluster(BASIC, notebook_task=NOTEBOOK),
                "several things to run: `python_wheel_task` and `notebook_task`",
            ),
            (in_environment(dependencies="polars"), "`dependencies` is 'polars' (str), not a list"),
            (in_environment(dependencies=[1]), "`dependencies[1]` is 1 (int), not a string"),
            (in_environment(dependencies="${var.deps}"), "to which the wheel can't be added"),
            (in_environment(dependencis=[]), "did you mean `dependencies`?"),
            (
                in_environment(environment_version="4.0"),
                "`environment_version` is '4.0'\n    hint: write a whole number",
            ),
            (in_environment(environment_version=4), "`environment_version` is 4 (int), not a string"),
            (in_environment(dependencies=["ruamel.yaml"]), "hint: write `ruamel-yaml`"),
            (native(), "has nothing to run"),
            (
                native(notebook_task=NOTEBOOK, dbt_task={"commands": []}),
                "several things to run: `notebook_task` and `dbt_task`",
            ),
            (native(notebook_task=NOTEBOOK, task_key="x"), "has the field `task_key`"),
            (native(notebook_task=NOTEBOOK, environment_key="zz"), "environment_key 'zz', which is not defined"),
            (native(notebook_task=NOTEBOOK, environment_key={}), "`environment_key` is {} (dict), not a string"),
            (native(notebook_task=NOTEBOOK, job_cluster_key="zz"), "job_cluster_key 'zz', which is not defined"),
            (native(for_each_task=[]), "`for_each_task` is [] (list), not a dict with the fields of ForEachTask"),
            (native(for_each_task={"inputs": "[]", "task": 3}), "`for_each_task.task` is 3 (int)"),
            (repeated(environment_key="zz"), "environment_key 'zz', which is not defined"),
            (repeated(libraries=[{"whl": "x.whl"}]), "serverless and has `libraries`"),
            (repeated(task_key="i i"), "repeats a task with the key 'i i'"),
            (native(for_each_task={"inputs": "[]", "task": {"task_key": "i"}}), "has nothing to run"),
            (repeated(max_retris=1), "`for_each_task.task` has no field `max_retris`"),
        ],
    )
    def test_what_the_platform_would_not_take_is_an_error_at_its_line(self, wrong: Job[[]], said: str) -> None:
        """Unknown fields, wrong types, limits and references are errors at the job's or the task's line."""
        (problem,) = refused(wrong)
        assert said in str(problem)
        assert isinstance(problem.where, SourceLocation)
        assert problem.where.path.endswith("test_codegen.py")

    @pytest.mark.parametrize("concurrency", [0, 101])
    def test_the_platform_repeats_up_to_a_hundred_at_once(self, concurrency: int) -> None:
        """A for-each task has a concurrency of 1 to 100."""
        inner: Any = {"task_key": "i", "spark_python_task": {"python_file": "a.py"}}
        (problem,) = refused(native(for_each_task={"inputs": "[]", "task": inner, "concurrency": concurrency}))
        assert f"has the concurrency {concurrency}" in problem.message

    def test_a_for_each_task_holds_no_other(self) -> None:
        """The platform takes one level."""
        deep: Any = {"task_key": "d", "spark_python_task": {"python_file": "a.py"}}
        assert any(
            "inside a for-each task" in problem.message
            for problem in refused(
                native(
                    for_each_task={
                        "inputs": "[]",
                        "task": {"task_key": "i", "for_each_task": {"inputs": "[]", "task": deep}},
                    }
                )
            )
        )

    def test_a_task_is_refused_at_the_line_of_its_function(self) -> None:
        """The problem of a task is at the task's line, that of the job at the job's."""
        of_job: dict[str, Any] = {"max_concurent_runs": 1}
        of_task: dict[str, Any] = {"max_retris": 1}
        frame = inspect.currentframe()
        assert frame is not None
        start = frame.f_lineno

        @job(**of_job)
        def one() -> None:
            @task(**of_task)
            def inner() -> None: ...

            inner()

        found = {(problem.where.path, problem.where.line - start) for problem in refused(one)}
        assert found == {(__file__, 2), (__file__, 4)}

    @pytest.mark.parametrize(
        "start",
        [
            {"continuous": {"pause_status": "PAUSED"}},
            pytest.param({"triggers": [{"continuous": {"task_retry_mode": "NEVER"}}]}, marks=needs_triggers),
        ],
    )
    def test_tasks_of_a_continuous_job_have_no_retries(self, start: dict[str, Any]) -> None:
        """The platform starts such a job again; its own retries of tasks are a field of `continuous`."""

        def with_retries(number: int) -> Job[[]]:
            @job(**start)
            def one() -> None:
                first.override(max_retries=number)()

            return one

        for number in (-1, 2):
            (problem,) = refused(with_retries(number))
            assert f"the task `one.first` has `max_retries` {number} in a continuous job" in problem.message
            assert "task_retry_mode" in (problem.hint or "")
        made(with_retries(0))

    def test_what_the_platform_takes_of_triggers_is_fine(self) -> None:
        """The least waits, a variable in place of a number, and a condition beside any kind."""
        made(
            jobs_with(
                trigger={
                    "file_arrival": {"url": "s3://a/b/", "wait_after_last_change_seconds": 60},
                    "pause_status": "PAUSED",
                }
            ),
        )
        made(jobs_with(trigger={"periodic": {"interval": "${var.every}", "unit": "DAYS"}}))
        made(jobs_with(trigger="${var.trigger}", permissions="${var.permissions}"))
        made(jobs_with(trigger={"table_update": {"table_names": ["${var.catalog}.b.c", "a.`b.c`.d"]}}))
        made(on_cluster({**NEW, "autoscale": {"min_workers": 2, "max_workers": 2}}))
        made(jobs_with(webhook_notifications={"on_failure": [{"id": str(i)} for i in range(3)]}))

    @pytest.mark.parametrize(
        "spec",
        [
            {"client": "4", "environment_version": "4"},
            {"dependencies": ["torch==2.0", "torch==2.0+cu118"]},
        ],
    )
    def test_an_environment_that_says_one_thing_twice_is_fine(self, spec: dict[str, Any]) -> None:
        """The older name of a field with the same value, and a pin that meets a wider one, contradict nothing."""
        made(in_environment(**spec))

    def test_references_that_the_bundle_knows_are_fine(self) -> None:
        """A whole reference may stand for any type, also for a number."""
        made(jobs_with(description="${workspace.current_user.userName}", max_concurrent_runs="${var.runs}"))
        made(jobs_with(name="${bundle.target}-${var.a-b}", tags={"job": "${resources.jobs.x.id}", "money": "$5 {x}"}))
        made(jobs_with(description=f"{bundle_variable('x')} at {bundle_target()}", tags="${var.tags}"))

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

    def test_what_fits_is_taken(self) -> None:
        """A thousand tasks, 25 tags, keys of 100 characters and a name of 4,096 bytes are within the limits."""

        @job(name="\u00fc" * 2048, tags={f"t{i}": "" for i in range(25)})
        def one(text: str = "\u00fc" * 4_500) -> None:
            first.override(key="x" * 100)()
            for i in range(999):
                first.override(key=f"t{i}")()

        assert len(made(one)["one"]["tasks"]) == 1000

    def test_a_name_is_measured_in_bytes(self) -> None:
        """4,097 bytes of UTF-8 are over the limit, however few the characters."""
        (problem,) = refused(jobs_with(name="\u00fc" * 2048 + "x"))
        assert "over 4096 bytes" in problem.message

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

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("0 5 * * *", "which has 5 fields"),
            ("@daily", "which has 1 field"),
            ("0 0 5 * * ? 2030 1", "which has 8 fields"),
            ("0 0 5 * * *", "which sets both the day of the month and of the week"),
            ("0 0 5 ? * ?", "which has no day"),
        ],
    )
    def test_a_schedule_that_quartz_refuses_is_refused(self, text: str, said: str) -> None:
        """A cron expression of the five fields of Unix, or with two days, is an error before it is deployed."""
        (problem,) = refused(jobs_with(schedule={"quartz_cron_expression": text, "timezone_id": "UTC"}))
        assert problem.message.endswith(f"`schedule.quartz_cron_expression` is {text!r}, {said}")
        assert "'0 30 5 * * ?'" in problem.hint

    @pytest.mark.parametrize("text", ["0 0 5 * * ?", "0 0/15 5-9 ? * MON-FRI", "0 0 5 L * ? 2030-2031", "${var.cron}"])
    def test_a_schedule_that_quartz_takes_is_taken(self, text: str) -> None:
        """Six or seven fields, one of the days a question mark, or a variable."""
        job = jobs_with(schedule={"quartz_cron_expression": text, "timezone_id": "UTC"})
        assert made(job)[job.key]["schedule"]["quartz_cron_expression"] == text

    def test_one_mistake_in_many_tasks_is_said_of_each(self) -> None:
        """Tasks with the same settings are checked together, and refused each by itself, in a for-each task too."""

        @job(cluster=small)
        def one() -> None:
            wrong = first.override(max_retris=1, libraries=[{"jar": "${foo}"}])  # type: ignore[call-arg]
            wrong.override(key="a")(1)
            wrong.override(key="b")(2)
            second.override(key="c", max_retries=1)(1)
            first.override(key="d", max_retries="1")(1)  # type: ignore[arg-type]
            second.override(key="e", max_retries="1")(each([1, 2]))  # type: ignore[arg-type]

        assert sorted(problem.message for problem in refused(one)) == [
            "the task `one.a`: `libraries[1].jar` holds ${foo}, which a bundle can't resolve",
            "the task `one.a`: there is no field `max_retris`",
            "the task `one.b`: `libraries[1].jar` holds ${foo}, which a bundle can't resolve",
            "the task `one.b`: there is no field `max_retris`",
            "the task `one.d`: `max_retries` is '1' (str), not an integer",
            "the task `one.e`: `for_each_task.task.max_retries` is '1' (str), not an integer",
        ]

    def test_all_mistakes_of_all_jobs_come_at_once(self) -> None:
        """Each mistake is one problem."""

        wrong: dict[str, Any] = {"descripton": "x", "tags": {"a": 1, "b": 2}}

        @job(key="a", **wrong)
        def one() -> None:
            first.override(max_retris=1, timeout_seconds="x")()  # type: ignore[call-arg, arg-type]

        git: dict[str, Any] = {"git_source": {"git_url": "x", "git_provider": "gitHub"}}

        @job(key="b", **git)
        def two() -> None:
            first()

        assert len(refused(one, two)) == 6

    def test_ten_mistakes_in_one_job_are_ten_problems(self) -> None:
        """Mistakes of the job, its compute and its tasks hide none of each other."""
        lean = environment("lean", dependencies=["ruamel.yaml", "numpy; python_version < '3.12'"])
        wrong: dict[str, Any] = {
            "descripton": "x",
            "max_concurrent_runs": "1",
            "tags": {"a": 1},
            "description": "${foo}",
            "git_source": {"git_url": "x", "git_provider": "gitHub"},
        }

        @job(environment=lean, **wrong)
        def one() -> None:
            first.override(max_retris=1)()  # type: ignore[call-arg]
            second.override(key="a b", run_if="ALL_DNE")()  # type: ignore[arg-type]

        assert len(refused(one)) == 10


class TestDependencies:
    @pytest.mark.parametrize(
        ("given", "emitted"),
        [
            ("polars", "polars"),
            ("polars>=1,<2", "polars>=1,<2"),
            ("polars >= 1", "polars>=1"),
            ("  polars  ", "polars"),
            ("polars>=1, <2", "polars<2,>=1"),
            ("polars (>=1)", "polars>=1"),
            ("polars==1.*", "polars>=1,<2"),
            ("polars==1.2.*", "polars>=1.2,<1.3"),
            ("polars==1!2.*", "polars>=1!2,<1!3"),
            ("polars==1.*,>=1.2a1", "polars>=1.2a1,>=1.dev0,<2.dev0"),
            ("polars==1.0.RC1", "polars==1.0rc1"),
            ("polars==1.0-1", "polars==1.0.post1"),
            ("polars[b, a] ~= 1.4", "polars[a,b]~=1.4"),
            ("x@https://h/x.whl", "x @ https://h/x.whl"),
            ("x @ git+https://h/x.git@v1", "x @ git+https://h/x.git@v1"),
            ("https://h/x.whl", "https://h/x.whl"),
            ("/Volumes/a/x.whl", "/Volumes/a/x.whl"),
            ("dbfs:/x.whl", "dbfs:/x.whl"),
            ("libs/*.whl", "libs/*.whl"),
            ("libs/x.whl[a]", "libs/x.whl[a]"),
            ("./x", "./x"),
            ("-r r.txt", "-r r.txt"),
            ("-rr.txt", "-r r.txt"),
            ("--requirement=r.txt", "-r r.txt"),
            ("--editable ./x", "-e ./x"),
            ("--index-url https://h/simple", "--index-url https://h/simple"),
            ("--index-url https://u:${var.p}@h/simple", "--index-url https://u:${var.p}@h/simple"),
            ("polars==${var.polars}", "polars==${var.polars}"),
        ],
    )
    def test_a_package_is_written_so_that_a_bundle_takes_it_for_one(self, given: str, emitted: str) -> None:
        """What the CLI would take for a file is put otherwise, with the same meaning; all else stays."""
        assert (refusals(given), normalised(given)) == ([], emitted)
        assert normalised(emitted) == emitted
        (found,) = made(in_environment(dependencies=[given]))["one"]["environments"]
        assert found["spec"]["dependencies"] == [WHEEL, emitted]

    @pytest.mark.parametrize(
        ("given", "said", "hint"),
        [
            ("ruamel.yaml>=1", "has a name with `.`", "write `ruamel-yaml`"),
            ("requirements.txt", "has a name with `.`", "write `-r requirements.txt`"),
            ("numpy; python_version < '3.12'", "has a marker", "leave it out"),
            ("numpy!=1.2.*", "has `!=1.2.*`", "one by one"),
            ("numpy===1.2", "has `===1.2`", "use `==`"),
            ("x @ file:///x.whl", "has a URL", "https://"),
            ("x @ /Volumes/x.whl", "has a URL", "by itself"),
            ("file:///x.whl", "is a URL of a file", "by itself"),
            ("--index-url https://u:p@h/simple", "has a password or a token in https://***@h/simple", "leave them out"),
            ("x @ https://h/x.whl?token=1", "has a password or a token in https://h/x.whl", "leave them out"),
            ("libs/own", "neither a requirement nor a file", "ends in .whl"),
            ("polars pandas", "neither a requirement nor a file", "name>=1,<2"),
            ("polars>=x", "neither a requirement nor a file", "name>=1,<2"),
            (" ", "is empty", "leave it out"),
        ],
    )
    def test_what_can_not_be_put_otherwise_is_refused(self, given: str, said: str, hint: str) -> None:
        """Such a dependency would pass the bundle's validation and fail in its deploy."""
        (problem,) = refused(in_environment(dependencies=[given]))
        assert said in problem.message
        assert hint in problem.hint
        assert isinstance(problem.where, SourceLocation)

    def test_every_part_that_is_wrong_is_said(self) -> None:
        """A name and a marker in one dependency are two problems."""
        assert len(refused(in_environment(dependencies=["ruamel.yaml; os_name == 'nt'"]))) == 2

    def test_an_extra_library_is_refused_once_and_where_it_is_set(self) -> None:
        """Extra libraries are the project's: the problem is in its configuration, and no job's."""
        (problem,) = refused(task_with(key="a"), in_other_job(), extra=("ruamel.yaml",))
        assert problem.where == "tool.dbxdec.extra-libraries"

    def test_a_cluster_takes_any_requirement(self) -> None:
        """Libraries of a cluster are said to be packages: nothing about them is unclear."""
        (form,) = made(on_cluster(BASIC), extra=("ruamel.yaml >= 1",))["one"]["tasks"]
        assert form["libraries"] == [{"whl": WHEEL}, {"pypi": {"package": "ruamel.yaml >= 1"}}]


def in_other_job() -> Job[[]]:
    @job(key="other")
    def other() -> None:
        second()

    return other
