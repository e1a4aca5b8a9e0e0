"""`native_task` for every kind of task that databricks-bundles knows: fields, references, paths, compute."""

from __future__ import annotations

import copy
import datetime as dt
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from databricks.bundles import jobs as bundle_jobs

from dbxdec import (
    IoManager,
    bundle_variable,
    environment,
    job,
    job_cluster,
    native_task,
    run_date,
    secret,
    task,
)
from dbxdec.authoring.jobs import Job
from dbxdec.build.codegen import build_jobs
from dbxdec.build.codegen.paths import relocate
from dbxdec.errors import CodegenError, Problem, SourceLocation
from dbxdec.io_managers.contexts import InputContext, OutputContext
from dbxdec.model.job_forms import encode_jobs
from dbxdec.model.manifest import Manifest, decode, encode
from projects import Project, shop

WHEEL = "dist/p-1-py3-none-any.whl"
small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)
lean = environment("lean", dependencies=["polars"])


class Frame:
    """What the manager of these tests stores."""


class Shelf(IoManager):
    base_path = "/lake"

    def read(self, context: InputContext) -> Frame:
        return Frame()

    def write(self, context: OutputContext, value: Any) -> None:
        """Nothing is stored here."""


@task(io_manager=Shelf())
def extract() -> Frame:
    return Frame()


@task
def count() -> int:
    return 1


@task
def names() -> list[str]:
    return []


@dataclass(frozen=True)
class Refs:
    """What fields of native tasks refer to: in a job's body the references, elsewhere what becomes of them."""

    day: Any
    uri: Any
    value: Any
    state: Any
    rows: Any
    names: Any
    token: Any


TEXTS = Refs(
    day="{{job.parameters.day}}",
    uri="/lake/extract",
    value="{{tasks.extract.values.files}}",
    state="{{tasks.extract.result_state}}",
    rows="{{tasks.count.values.return_value}}",
    names="{{tasks.names.values.return_value}}",
    token="{{secrets/shop/token}}",  # noqa: S106 - what stands for it
)


@dataclass(frozen=True)
class Example:
    """A realistic task of one kind."""

    fields: Callable[[Refs], dict[str, Any]]
    waits: tuple[str, ...] = ()
    """The tasks that it refers to."""
    paths: tuple[tuple[str | int, ...], ...] = ()
    """Where it names files of the project."""
    beside: Callable[[], dict[str, Any]] = dict
    """Other fields of the task that its kind needs."""


JAR: dict[str, Any] = {"libraries": [{"jar": "libs/acme.jar"}, {"maven": {"coordinates": "a:b:1"}}]}
EXAMPLES = {
    "notebook_task": Example(
        lambda r: {
            "notebook_path": "notebooks/show.py",
            "base_parameters": {"day": r.day, "table": r.uri, "files": r.value, "state": r.state, "token": r.token},
        },
        ("extract",),
        (("notebook_path",),),
    ),
    "spark_python_task": Example(
        lambda r: {"python_file": "scripts/load.py", "parameters": ["--rows", r.rows, "--table", r.uri]},
        ("count", "extract"),
        (("python_file",),),
    ),
    "python_wheel_task": Example(
        lambda r: {"package_name": "other", "entry_point": "main", "named_parameters": {"day": r.day, "rows": r.rows}},
        ("count",),
    ),
    "spark_jar_task": Example(
        lambda r: {"main_class_name": "com.acme.Main", "parameters": [r.day, r.uri]},
        ("extract",),
        beside=lambda: JAR,
    ),
    "spark_submit_task": Example(
        lambda r: {"parameters": ["--class", "com.acme.Main", "s3://libs/acme.jar", r.day, r.rows]}, ("count",)
    ),
    "dbt_task": Example(
        lambda r: {
            "project_directory": "dbt",
            "profiles_directory": "profiles",
            "commands": ["dbt deps", "dbt run --vars '{day: {{job.parameters.day}}}'"],
            "warehouse_id": r.value,
        },
        ("extract",),
        (("project_directory",),),
    ),
    "sql_task": Example(
        lambda r: {
            "file": {"path": "sql/report.sql"},
            "parameters": {"day": r.day, "rows": r.rows},
            "warehouse_id": "0123456789abcdef",
        },
        ("count",),
        (("file", "path"),),
    ),
    "alert_task": Example(
        lambda r: {
            "workspace_path": "alerts/late.dbalert.json",
            "warehouse_id": "0123456789abcdef",
            "subscribers": [{"user_name": "ops@example.com"}],
            "parameters": {"day": r.day, "rows": r.rows},
        },
        ("count",),
        (("workspace_path",),),
    ),
    "dashboard_task": Example(
        lambda r: {
            "dashboard_id": "${resources.dashboards.sales.id}",
            "filters": {"day": r.day, "rows": r.rows},
            "subscription": {"subscribers": [{"user_name": "ops@example.com"}], "custom_subject": "Sales"},
        },
        ("count",),
    ),
    "pipeline_task": Example(
        lambda r: {
            "pipeline_id": "${resources.pipelines.sales.id}",
            "full_refresh": False,
            "parameters": {"source": r.uri},
        },
        ("extract",),
    ),
    "power_bi_task": Example(
        lambda r: {
            "connection_resource_name": "power_bi",
            "power_bi_model": {"workspace_name": "Sales", "model_name": r.value, "storage_mode": "IMPORT"},
            "tables": [{"catalog": "main", "schema": "gold", "name": "sales"}],
            "warehouse_id": "0123456789abcdef",
        },
        ("extract",),
    ),
    "run_job_task": Example(lambda r: {"job_id": 12345, "job_parameters": {"day": r.day, "rows": r.rows}}, ("count",)),
    "condition_task": Example(lambda r: {"op": "GREATER_THAN", "left": r.rows, "right": "0"}, ("count",)),
    "for_each_task": Example(
        lambda r: {
            "inputs": r.names,
            "concurrency": 4,
            "task": {
                "task_key": "one",
                "notebook_task": {
                    "notebook_path": "notebooks/one.py",
                    "base_parameters": {"name": "{{input}}", "day": r.day, "rows": r.rows},
                },
            },
        },
        ("names", "count"),
        (("task", "notebook_task", "notebook_path"),),
    ),
    "clean_rooms_notebook_task": Example(
        lambda r: {
            "clean_room_name": "shared",
            "notebook_name": "overlap",
            "notebook_base_parameters": {"day": r.day, "rows": r.rows},
        },
        ("count",),
    ),
    "ai_runtime_task": Example(
        lambda r: {
            "experiment": "train",
            "mlflow_run": r.value,
            "deployments": [
                {
                    "command_path": "training/run.sh",
                    "compute": {"accelerator_type": "GPU_8xH100", "accelerator_count": 8},
                }
            ],
        },
        ("extract",),
        (("deployments", 0, "command_path"),),
    ),
    "gen_ai_compute_task": Example(
        lambda r: {
            "dl_runtime_image": "gpu-5",
            "command": "python",
            "training_script_path": "/Workspace/train.py",
            "yaml_parameters": r.value,
            "compute": {"num_gpus": 8, "gpu_type": "h100"},
        },
        ("extract",),
    ),
    "dbt_platform_task": Example(
        lambda r: {"connection_resource_name": "dbt", "dbt_platform_job_id": r.value}, ("extract",)
    ),
    "python_operator_task": Example(
        lambda r: {"main": "shop.operators.clean", "parameters": [{"name": "rows", "value": r.rows}]}, ("count",)
    ),
}
every_kind = pytest.mark.parametrize("kind", EXAMPLES)


def made(*jobs: Job[...]) -> dict[str, dict[str, Any]]:
    """The definitions, by way of a manifest's bytes, each one taken whole by databricks-bundles."""
    built = [each.build() for each in jobs]
    assert [problem for each in built for problem in each.problems] == []
    raw = encode_jobs([each.dag for each in built])
    definitions = build_jobs(decode(encode(Manifest("p", "1", "b" * 64, "dbxdec 0", raw)), "it"), wheel=WHEEL)
    for definition in definitions.values():
        loaded: Any = bundle_jobs.Job.from_dict(copy.deepcopy(definition)).as_dict()  # type: ignore[arg-type]
        assert loaded == definition
    return definitions


def refused(*jobs: Job[...]) -> list[Problem]:
    with pytest.raises(CodegenError) as error:
        made(*jobs)
    return list(error.value.problems)


def job_of(native: dict[str, Any], **options: Any) -> Job[[]]:
    """A job of one native task with these fields."""

    @job(key="one", **options)
    def one() -> None:
        native_task("own", **native)

    return one


def only_task(definition: dict[str, Any]) -> dict[str, Any]:
    (form,) = (form for form in definition["tasks"] if form["task_key"] == "own")
    assert isinstance(form, dict)
    return form


def example_job(kind: str, form: Callable[[Any], Any] = lambda native: native) -> Job[...]:
    """A job with a task of the kind, on a cluster of its own where it takes one; `form` writes its fields."""
    example = EXAMPLES[kind]

    @job(cluster=small)
    def one(day: dt.date = run_date()) -> None:
        x, rows, many = extract(), count(), names()
        refs = Refs(day, x.uri, x.value("files"), x.state, rows, many, secret("shop", "token"))
        native: Any = {kind: form(example.fields(refs)), **example.beside()}
        native_task("own", **native)

    return one


class TestEveryKind:
    def test_all_that_databricks_bundles_knows_are_here(self) -> None:
        """A release of databricks-bundles with another kind needs an example of it, and its compute looked up."""
        known = {field.name for field in fields(bundle_jobs.Task) if field.name.endswith("_task")}
        assert known == set(EXAMPLES)
        assert known == set(ON_CLUSTER)

    @every_kind
    def test_fields_pass_and_references_become_the_platforms(self, kind: str) -> None:
        """All fields are in the definition, values of the run as the platform spells them, and make edges."""
        form = only_task(made(example_job(kind))["one"])
        expected = EXAMPLES[kind].fields(TEXTS)
        if kind == "for_each_task":
            assert form[kind]["task"].pop("job_cluster_key") == "small"
        assert form[kind] == expected
        assert {name: form[name] for name in EXAMPLES[kind].beside()} == EXAMPLES[kind].beside()
        assert {entry["task_key"] for entry in form.get("depends_on", [])} == set(EXAMPLES[kind].waits)

    @every_kind
    def test_a_dataclass_is_the_same(self, kind: str) -> None:
        """databricks-bundles' classes, references inside them too, give the same definition as dicts."""
        model: Any = getattr(bundle_jobs, "".join(part.capitalize() for part in kind.split("_")))

        def as_class(native: dict[str, Any]) -> Any:
            return model(**{key: nested(model, key, value) for key, value in native.items()})

        assert made(example_job(kind, as_class)) == made(example_job(kind))

    @every_kind
    @pytest.mark.parametrize(
        ("prefix", "moved"),
        [("..", "../{}"), ("../..", "../../{}"), (".", "{}"), ("pipelines/shop", "pipelines/shop/{}")],
    )
    def test_local_paths_are_rewritten_and_nothing_else(self, kind: str, prefix: str, moved: str) -> None:
        """Paths start where the definition lies: a file in a folder, or the root of a bundle around the project."""
        definition = made(example_job(kind))["one"]
        found = only_task(relocate(definition, prefix))
        expected = only_task(copy.deepcopy(definition))
        for path in EXAMPLES[kind].paths:
            owner: Any = expected[kind]
            for part in path[:-1]:
                owner = owner[part]
            owner[path[-1]] = moved.format(owner[path[-1]])
        for library in expected.get("libraries", []):
            if "jar" in library:
                library["jar"] = moved.format(library["jar"])
        assert found == expected

    @every_kind
    @pytest.mark.parametrize(
        "path", ["/Workspace/Shared/a.py", "/Volumes/a/b.py", "${workspace.file_path}/a.py", "s3://bucket/a.py"]
    )
    def test_other_paths_stay(self, kind: str, path: str) -> None:
        """Absolute paths, those of another storage and those with a reference are no files of the project."""
        for place in EXAMPLES[kind].paths:

            def put(native: Any, place: tuple[str | int, ...] = place) -> Any:
                owner = native
                for part in place[:-1]:
                    owner = owner[part]
                owner[place[-1]] = path
                return native

            definition = made(example_job(kind, put))["one"]
            assert only_task(relocate(definition, "..")) == only_task(definition)

    @every_kind
    def test_a_whole_kind_may_be_a_variable(self, kind: str) -> None:
        """A variable of the bundle may stand for all fields of a kind."""
        definition = made(job_of({kind: bundle_variable("all"), **COMPUTE_OF_ITS_OWN.get(kind, {})}))["one"]
        assert only_task(definition)[kind] == "${var.all}"
        assert only_task(relocate(definition, "..")) == only_task(definition)


def nested(model: Any, key: str, value: Any) -> Any:
    """`value` of the field `key` with databricks-bundles' classes inside; references stay what they are."""
    kinds = {
        ("SqlTask", "file"): bundle_jobs.SqlTaskFile,
        ("AlertTask", "subscribers"): bundle_jobs.AlertTaskSubscriber,
        ("DashboardTask", "subscription"): bundle_jobs.Subscription,
        ("Subscription", "subscribers"): bundle_jobs.SubscriptionSubscriber,
        ("PowerBiTask", "power_bi_model"): bundle_jobs.PowerBiModel,
        ("PowerBiTask", "tables"): bundle_jobs.PowerBiTable,
        ("ForEachTask", "task"): bundle_jobs.Task,
        ("Task", "notebook_task"): bundle_jobs.NotebookTask,
        ("AiRuntimeTask", "deployments"): bundle_jobs.DeploymentSpec,
        ("DeploymentSpec", "compute"): bundle_jobs.ComputeSpec,
        ("GenAiComputeTask", "compute"): bundle_jobs.ComputeConfig,
        ("PythonOperatorTask", "parameters"): bundle_jobs.PythonOperatorTaskParameter,
    }
    inner: Any = kinds.get((model.__name__, key))
    if inner is None:
        return bundle_jobs.ConditionTaskOp(value) if key == "op" else value
    if isinstance(value, list):
        return [inner(**{name: nested(inner, name, item) for name, item in each.items()}) for each in value]
    return inner(**{name: nested(inner, name, item) for name, item in value.items()})


# Whether the job's cluster is for a task of the kind (docs.databricks.com, "Configure compute for jobs").
ON_CLUSTER = dict.fromkeys(EXAMPLES, False) | dict.fromkeys(
    ["notebook_task", "spark_python_task", "python_wheel_task", "spark_jar_task", "spark_submit_task", "dbt_task"], True
)
# Serverless: these need an environment; a notebook brings its own.
IN_ENVIRONMENT = {"spark_python_task", "python_wheel_task", "spark_jar_task", "dbt_task"}
# Those for which an environment with nothing but the pipeline's wheel is of no use, and a job without compute is wrong.
NOT_ANYWHERE = {"spark_jar_task", "dbt_task", "spark_submit_task"}
COMPUTE_OF_ITS_OWN: dict[str, dict[str, Any]] = {kind: {"existing_cluster_id": "0101-x"} for kind in NOT_ANYWHERE}
PLACES = ("job_cluster_key", "environment_key", "existing_cluster_id", "new_cluster")


def compute_of(form: dict[str, Any]) -> dict[str, Any]:
    return {name: form[name] for name in PLACES if name in form}


def native_of(kind: str) -> dict[str, Any]:
    return {kind: EXAMPLES[kind].fields(TEXTS)}


not_repeating = pytest.mark.parametrize("kind", [kind for kind in EXAMPLES if kind != "for_each_task"])


class TestCompute:
    @not_repeating
    def test_the_jobs_cluster_is_for_those_that_run_on_clusters(self, kind: str) -> None:
        """Kinds that run on a cluster get the job's, all others nothing."""
        form = only_task(made(job_of(native_of(kind), cluster=small))["one"])
        assert compute_of(form) == ({"job_cluster_key": "small"} if ON_CLUSTER[kind] else {})

    @not_repeating
    def test_the_jobs_environment_is_for_those_that_need_one(self, kind: str) -> None:
        """Kinds that need an environment where they are serverless get the job's, all others nothing."""
        if kind == "spark_submit_task":
            (problem,) = refused(job_of(native_of(kind), environment=lean))
            assert "needs a new cluster" in problem.message
            return
        definition = made(job_of(native_of(kind), environment=lean))["one"]
        assert compute_of(only_task(definition)) == ({"environment_key": "lean"} if kind in IN_ENVIRONMENT else {})
        assert ("environments" in definition) == (kind in IN_ENVIRONMENT)

    @not_repeating
    def test_a_job_without_compute_is_serverless(self, kind: str) -> None:
        """Scripts and wheels get an environment with the pipeline's wheel; what can't run in one is refused."""
        if kind in NOT_ANYWHERE:
            (problem,) = refused(job_of(native_of(kind)))
            assert f"is a {kind}, which needs" in problem.message
            assert problem.hint
            assert isinstance(problem.where, SourceLocation)
            return
        definition = made(job_of(native_of(kind)))["one"]
        if kind not in IN_ENVIRONMENT:
            assert compute_of(only_task(definition)) == {}
            assert "environments" not in definition
            return
        assert compute_of(only_task(definition)) == {"environment_key": "default"}
        (entry,) = definition["environments"]
        assert entry["spec"]["dependencies"] == [WHEEL]

    @not_repeating
    @pytest.mark.parametrize("options", [{"cluster": small}, {"environment": lean}, {}])
    def test_it_is_the_same_inside_a_for_each_task(self, kind: str, options: dict[str, Any]) -> None:
        """The repeated task gets what it would get by itself, and what repeats it nothing."""
        inner = {"task_key": "inner", **native_of(kind)}
        repeated = job_of({"for_each_task": {"inputs": '["a"]', "task": inner}}, **options)
        alone = job_of(native_of(kind), **options)
        if (kind in NOT_ANYWHERE and not options) or (kind == "spark_submit_task" and "cluster" not in options):
            assert [p.message for p in refused(repeated)] == [p.message for p in refused(alone)]
            return
        expected = compute_of(only_task(made(alone)["one"]))
        form = only_task(made(repeated)["one"])
        assert compute_of(form) == {}
        assert compute_of(form["for_each_task"]["task"]) == expected

    @pytest.mark.parametrize(
        ("given", "emitted"),
        [
            ({"cluster": small}, {"job_cluster_key": "small"}),
            ({"environment": lean}, {"environment_key": "lean"}),
            ({"existing_cluster_id": "0101-x"}, {"existing_cluster_id": "0101-x"}),
        ],
    )
    def test_compute_of_its_own_goes_before_the_jobs(self, given: dict[str, Any], emitted: dict[str, Any]) -> None:
        """What the task says of where it runs takes the place of the job's, on a for-each task's inner task too."""
        big = job_cluster("big", spark_version="16.4.x-scala2.12", num_workers=9)
        script = {"spark_python_task": {"python_file": "a.py"}}
        assert compute_of(only_task(made(job_of({**script, **given}, cluster=big))["one"])) == emitted
        inner = {"task_key": "inner", **script}
        form = only_task(made(job_of({"for_each_task": {"inputs": "[]", "task": inner}, **given}, cluster=big))["one"])
        assert compute_of(form) == {}
        assert compute_of(form["for_each_task"]["task"]) == emitted

    def test_a_notebook_on_a_warehouse_takes_no_cluster(self) -> None:
        """A notebook with a SQL warehouse runs there, whatever the job's compute is."""
        native = {"notebook_task": {"notebook_path": "a.sql", "warehouse_id": "0123456789abcdef"}}
        assert compute_of(only_task(made(job_of(native, cluster=small))["one"])) == {}

    def test_an_environment_given_to_a_task_that_needs_none_is_kept(self) -> None:
        """Notebooks and AI runtime tasks take an environment where the author gives one."""
        for kind in ("notebook_task", "ai_runtime_task"):
            form = only_task(made(job_of({**native_of(kind), "environment": lean}))["one"])
            assert compute_of(form) == {"environment_key": "lean"}

    def test_none_is_no_compute(self) -> None:
        """A field of compute that is None is as good as not given."""
        native = {"spark_python_task": {"python_file": "a.py"}, "existing_cluster_id": None}
        assert compute_of(only_task(made(job_of(native, cluster=small))["one"])) == {"job_cluster_key": "small"}


class TestMore:
    def test_run_if_is_taken_as_text_and_as_member(self) -> None:
        """databricks-bundles' enum is the same as its text."""

        @job
        def one() -> None:
            x = count()
            native: Any = native_of("notebook_task")
            native_task("own", run_if=bundle_jobs.RunIf.ALL_DONE, depends_on=[x], **native)
            extract.override(run_if=bundle_jobs.RunIf.ALL_DONE)().after(x)

        forms = made(one)["one"]["tasks"]
        assert [form.get("run_if") for form in forms] == [None, "ALL_DONE", "ALL_DONE"]

    @pytest.mark.parametrize("kind", ["notebook_task", "spark_python_task", "dbt_task"])
    def test_a_git_source_is_refused(self, kind: str) -> None:
        """A job that deploys a wheel has no git source, so a task can't take its files from one."""
        (problem,) = refused(job_of({kind: {**EXAMPLES[kind].fields(TEXTS), "source": "GIT"}}, cluster=small))
        assert "has the source GIT" in problem.message
        sql = {"file": {"path": "a.sql", "source": "GIT"}, "warehouse_id": "w"}
        assert "has the source GIT" in refused(job_of({"sql_task": sql}))[0].message

    def test_a_workspace_source_is_kept_and_its_path_rewritten(self) -> None:
        """The source WORKSPACE is what a bundle makes of a file that it deploys."""
        notebook = {"notebook_path": "./notebooks/a.py", "source": "WORKSPACE"}
        form = only_task(relocate(made(job_of({"notebook_task": notebook}))["one"], ".."))
        assert form["notebook_task"] == {"notebook_path": "../notebooks/a.py", "source": "WORKSPACE"}

    @pytest.mark.parametrize(
        ("native", "field"),
        [
            ({"libraries": [{"egg": "libs/a.egg"}], **native_of("notebook_task")}, "libraries[0].egg"),
            ({"spark_jar_task": {"main_class_name": "A", "jar_uri": "a.jar"}}, "spark_jar_task.jar_uri"),
            (
                {"gen_ai_compute_task": {"dl_runtime_image": "x", "training_script_path": "train.py"}},
                "gen_ai_compute_task.training_script_path",
            ),
            (
                {
                    "for_each_task": {
                        "inputs": "[]",
                        "task": {"task_key": "i", "libraries": [{"egg": "a.egg"}], **native_of("notebook_task")},
                    }
                },
                "for_each_task.task.libraries[0].egg",
            ),
        ],
    )
    def test_files_that_no_deploy_uploads_are_refused(self, native: dict[str, Any], field: str) -> None:
        """A path of the project in a field that a bundle leaves alone would name nothing in the workspace."""
        (problem,) = refused(job_of(native, cluster=small))
        assert f"`{field}` is" in problem.message
        assert "a file that no deploy uploads" in problem.message
        assert problem.hint

    def test_files_of_environments_that_no_deploy_uploads_are_refused(self) -> None:
        """So are those of the job itself."""
        spec: Any = {"java_dependencies": ["/Volumes/a.jar", "libs/b.jar", "a:b:1"]}
        (problem,) = refused(job_of(native_of("spark_jar_task"), environment=environment("e", **spec)))
        assert "java_dependencies[1]` is 'libs/b.jar'" in problem.message

    def test_the_code_of_an_ai_runtime_task_is_read_from_the_bundles_root(self) -> None:
        """The bundle reads this one path from its root, whatever file it stands in."""
        native: Any = native_of("ai_runtime_task")
        native["ai_runtime_task"]["code_source_path"] = "training"
        definition = made(job_of(native))["one"]
        for prefix, expected in (("..", "training"), (".", "training"), ("shop", "shop/training")):
            form = only_task(relocate(definition, prefix))
            assert form["ai_runtime_task"]["code_source_path"] == expected

    @pytest.mark.parametrize("whole", ["${var.libraries}", ["${var.library}"]])
    def test_libraries_may_be_variables(self, whole: Any) -> None:
        """Where the bundle resolves a list, or what is in it, there is no path to rewrite."""
        definition = made(job_of({**native_of("notebook_task"), "libraries": whole}, cluster=small))["one"]
        assert only_task(relocate(definition, ".."))["libraries"] == whole

    def test_a_setting_without_a_form_is_one_problem_and_the_body_goes_on(self) -> None:
        """A value that no field can have is noted at its line, and so is the next one."""

        @job
        def one() -> None:
            wrong: Any = {"notebook_path": "a.py", "base_parameters": {"x": object()}}
            native_task("a", notebook_task=wrong)
            native_task("b", notebook_task=wrong)

        problems = one.build().problems
        assert [problem.message.partition(":")[0] for problem in problems] == ["the task `a`", "the task `b`"]
        assert all("`notebook_task.base_parameters.x` is of the type `object`" in p.message for p in problems)
        lines = [problem.where.line for problem in problems if isinstance(problem.where, SourceLocation)]
        assert lines[1] == lines[0] + 1

    def test_a_value_of_the_run_in_a_tasks_setting_says_what_can_have_one(self) -> None:
        """Settings of `@task` are fixed at deploy: a job parameter there is an error that names the setting."""

        @job
        def one(n: int = 3) -> None:
            count.override(max_retries=n)()

        (problem,) = one.build().problems
        assert "the setting `max_retries` is the job parameter `n`" in problem.message


PIPELINE = """
from dbxdec import job, job_cluster, native_task, task

small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)


@task
def count() -> int:
    return 1


@job(cluster=small)
def kinds() -> None:
    rows = count()
    native_task("notebook", notebook_task={"notebook_path": "notebooks/show.py", "base_parameters": {"rows": rows}})
    native_task("script", spark_python_task={"python_file": "./scripts/load.py"}, libraries=[{"whl": "libs/a.whl"}])
    native_task("query", sql_task={"file": {"path": "sql/x.sql"}, "warehouse_id": "w"})
    native_task("dbt", dbt_task={"project_directory": "dbt", "commands": ["dbt run"]})
    native_task("alert", alert_task={"workspace_path": "alerts/late.dbalert.json"})
    native_task("elsewhere", notebook_task={"notebook_path": "/Workspace/Shared/a"})
"""


def paths_in(definition: dict[str, Any]) -> list[str]:
    tasks = {form["task_key"]: form for form in definition["tasks"]}
    return [
        tasks["notebook"]["notebook_task"]["notebook_path"],
        tasks["script"]["spark_python_task"]["python_file"],
        tasks["script"]["libraries"][0]["whl"],
        tasks["query"]["sql_task"]["file"]["path"],
        tasks["dbt"]["dbt_task"]["project_directory"],
        tasks["alert"]["alert_task"]["workspace_path"],
        tasks["elsewhere"]["notebook_task"]["notebook_path"],
    ]


LOADER = """
from dbxdec.bundle import load_resources as load


def load_resources(bundle):
    return load(bundle, {folder!r})
"""
LOCAL = [
    "notebooks/show.py",
    "scripts/load.py",
    "libs/a.whl",
    "sql/x.sql",
    "dbt",
    "alerts/late.dbalert.json",
]


class TestDeployed:
    @pytest.fixture
    def project(self, tmp_path: Path) -> Project:
        project = shop(tmp_path / "repository")
        project.write("src/shop/pipelines/sales.py", PIPELINE)
        return project

    def test_paths_in_the_resources_file_start_at_that_file(self, project: Project) -> None:
        """A build writes an included file in a folder, and every path in it leads back to the project."""
        done = project.build()
        assert done.code == 0, done.output
        assert paths_in(project.jobs()["kinds"]) == [*(f"../{path}" for path in LOCAL), "/Workspace/Shared/a"]

    def test_paths_in_python_resources_start_at_the_bundle(self, project: Project) -> None:
        """databricks-bundles' own loader gets them as they are written, or below the project's folder."""
        project.edit(
            "pyproject.toml", "[tool.dbxdec.variables]", "[tool.dbxdec]\nresources = false\n[tool.dbxdec.variables]"
        )
        for top, prefix in ((project, ""), (Project(project.root.parent), "repository/")):
            folder = str(project.root.relative_to(top.root))
            top.write("mine.py", LOADER.format(folder=folder))
            python = {"venv_path": sys.prefix, "resources": ["mine:load_resources"]}
            bundle = {"bundle": {"name": "shop", "target": "dev", "mode": "development"}, "python": python}
            top.write("input.json", json.dumps({**bundle, "experimental": {"python": python}}))
            names = [name for which in ("input", "output", "diagnostics") for name in (f"--{which}", f"{which}.json")]
            done = top.run(sys.executable, "-m", "databricks.bundles.build", "--phase", "load_resources", *names)
            assert done.code == 0, done.output
            assert (top.root / "diagnostics.json").read_text(encoding="utf-8") == ""
            found = json.loads((top.root / "output.json").read_text(encoding="utf-8"))["resources"]["jobs"]["kinds"]
            assert paths_in(found) == [*(f"{prefix}{path}" for path in LOCAL), "/Workspace/Shared/a"]
