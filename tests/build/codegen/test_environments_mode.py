"""A cluster together with an environment: the cluster runs in Environments mode, and its tasks have no libraries."""

from __future__ import annotations

from typing import Any

import pytest
from databricks.bundles.jobs import Job as BundleJob

from dbxdec import bundle_variable, each, environment, job, job_cluster, native_task, task
from dbxdec.authoring.compute import JobCluster
from dbxdec.authoring.jobs import Job
from dbxdec.build.codegen import build_jobs
from dbxdec.errors import CodegenError
from dbxdec.model.job_forms import encode_jobs
from dbxdec.model.manifest import Manifest

WHEEL = "dist/p-1-py3-none-any.whl"
MODE = "DEPENDENCY_MODE_ENVIRONMENTS"
LIBRARIES = "DEPENDENCY_MODE_CLUSTER_LIBRARIES"
AUTO = "DEPENDENCY_MODE_AUTO"

etl = environment("etl", dependencies=["polars>=1"])


@task
def first() -> int:
    return 1


@task
def second(x: Any = None) -> None: ...


def cluster(**changes: Any) -> JobCluster:
    """A cluster that takes environments, unless `changes` say otherwise; None leaves a field out."""
    fields: dict[str, Any] = {
        "spark_version": "19.0.x-scala2.13",
        "node_type_id": "m5d.large",
        "num_workers": 1,
        "data_security_mode": "DATA_SECURITY_MODE_STANDARD",
    }
    return job_cluster("big", **{k: v for k, v in {**fields, **changes}.items() if v is not None})


def made(one: Job[...], extra: tuple[str, ...] = ()) -> dict[str, Any]:
    built = one.build()
    assert built.problems == ()
    manifest = Manifest("p", "1", "b" * 64, "dbxdec 0", encode_jobs([built.dag]), extra)
    definition = build_jobs(manifest, wheel=WHEEL)[one.key]
    loaded: Any = BundleJob.from_dict(definition).as_dict()  # type: ignore[arg-type]
    assert loaded == definition
    return definition


def refused(one: Job[...]) -> list[tuple[str, str | None]]:
    with pytest.raises(CodegenError) as error:
        made(one)
    return [(problem.message, problem.hint) for problem in error.value.problems]


def new_cluster(definition: dict[str, Any]) -> dict[str, Any]:
    (entry,) = definition["job_clusters"]
    found: dict[str, Any] = entry["new_cluster"]
    return found


class TestTogether:
    def test_of_a_job(self) -> None:
        """The cluster gets the mode; each Python task names both and has no libraries; the wheel is a dependency."""

        @job(cluster=cluster(), environment=etl)
        def one() -> None:
            second(first())

        definition = made(one, extra=("wheels/x.whl",))
        for form in definition["tasks"]:
            assert (form["job_cluster_key"], form["environment_key"]) == ("big", "etl")
            assert "libraries" not in form
        assert new_cluster(definition) == {**cluster().new_cluster, "dependency_mode": MODE}
        assert definition["environments"] == [
            {
                "environment_key": "etl",
                "spec": {"environment_version": "4", "dependencies": [WHEEL, "wheels/x.whl", "polars>=1"]},
            }
        ]

    def test_of_a_task_and_of_an_override(self) -> None:
        """What a task names takes the place of both of the job's."""

        @task(cluster=cluster(), environment=etl)
        def own() -> None: ...

        @job
        def one() -> None:
            own()
            first.override(cluster=cluster(), environment=etl)()
            second()

        own_form, overridden, serverless = made(one)["tasks"]
        assert (own_form["job_cluster_key"], own_form["environment_key"]) == ("big", "etl")
        assert (overridden["job_cluster_key"], overridden["environment_key"]) == ("big", "etl")
        assert "job_cluster_key" not in serverless
        assert serverless["environment_key"] == "default"

    def test_a_task_that_names_one_of_them_takes_nothing_from_the_job(self) -> None:
        """An environment alone is serverless; a cluster that no task has with an environment is classic."""
        small = job_cluster("small", spark_version="16.4.x-scala2.12", num_workers=1)

        @job(cluster=cluster(), environment=etl)
        def one() -> None:
            first.override(environment=environment("lean"))()
            second.override(cluster=small)()

        lean, classic = made(one)["tasks"]
        assert ("job_cluster_key" not in lean, lean["environment_key"]) == (True, "lean")
        assert (classic["libraries"], "environment_key" in classic) == ([{"whl": WHEEL}], False)

    def test_other_tasks_of_that_cluster_get_the_default_environment(self) -> None:
        """In this mode a cluster installs no libraries, so a task without an environment would have no wheel."""

        @job(cluster=cluster())
        def one() -> None:
            first.override(cluster=cluster(), environment=etl)()
            second()
            native_task("script", spark_python_task={"python_file": "a.py"}, cluster=cluster())
            native_task("show", notebook_task={"notebook_path": "a.py"}, cluster=cluster())

        definition = made(one)
        forms = {form["task_key"]: form for form in definition["tasks"]}
        assert {key: form.get("environment_key") for key, form in forms.items()} == {
            "first": "etl",
            "second": "default",
            "script": "default",
            "show": None,
        }
        assert not any("libraries" in form for form in forms.values())
        assert [entry["environment_key"] for entry in definition["environments"]] == ["etl", "default"]

    def test_the_mode_set_by_the_author_is_enough(self) -> None:
        """The default environment has the wheel. The rest is the platform's to judge."""

        @job(cluster=cluster(dependency_mode=MODE, spark_version=None, data_security_mode=None))
        def one() -> None:
            first()

        definition = made(one)
        (form,) = definition["tasks"]
        assert (form["environment_key"], "libraries" in form) == ("default", False)
        assert new_cluster(definition)["dependency_mode"] == MODE

    def test_of_a_for_each_task(self) -> None:
        """Both are the inner task's."""

        @job(cluster=cluster(), environment=etl)
        def one() -> None:
            second(each([1, 2]))

        (form,) = made(one)["tasks"]
        inner = form["for_each_task"]["task"]
        assert (inner["job_cluster_key"], inner["environment_key"]) == ("big", "etl")
        assert "libraries" not in inner

    def test_of_native_tasks(self) -> None:
        """A script takes both, a notebook the cluster, a query neither."""

        @job(cluster=cluster(), environment=etl)
        def one() -> None:
            native_task("script", spark_python_task={"python_file": "a.py"})
            native_task("show", notebook_task={"notebook_path": "a.py"})
            native_task("ask", sql_task={"warehouse_id": "1", "query": {"query_id": "2"}})
            inner: Any = {"task_key": "i", "spark_python_task": {"python_file": "a.py"}}
            native_task("all", for_each_task={"inputs": "[]", "task": inner})

        script, show, ask, repeated = made(one)["tasks"]
        assert (script["job_cluster_key"], script["environment_key"]) == ("big", "etl")
        assert (show["job_cluster_key"], "environment_key" in show) == ("big", False)
        assert not {"job_cluster_key", "environment_key"} & set(ask)
        inner = repeated["for_each_task"]["task"]
        assert (inner["job_cluster_key"], inner["environment_key"]) == ("big", "etl")

    def test_of_a_cluster_of_its_own(self) -> None:
        """A task's `new_cluster` gets the mode too."""
        fields: Any = cluster().new_cluster

        @job
        def one() -> None:
            first.override(new_cluster=fields, environment=etl)()

        (form,) = made(one)["tasks"]
        assert form["new_cluster"]["dependency_mode"] == MODE
        assert (form["environment_key"], "libraries" in form) == ("etl", False)
        assert "dependency_mode" not in fields

    def test_auto_becomes_definite_with_an_environment(self) -> None:
        """The author's environment decides what the platform would otherwise choose."""

        @job(cluster=cluster(dependency_mode=AUTO), environment=etl)
        def one() -> None:
            first()

        assert new_cluster(made(one))["dependency_mode"] == MODE

    @pytest.mark.parametrize(
        "changes",
        [
            {"spark_version": "19.2.x-photon-scala2.13"},
            {"spark_version": "20.0.x-scala2.13"},
            {"spark_version": bundle_variable("runtime")},
            {"spark_version": None, "policy_id": "ABC"},
            {"data_security_mode": "USER_ISOLATION"},
            {"data_security_mode": "DATA_SECURITY_MODE_AUTO"},
            {"data_security_mode": bundle_variable("access")},
            {"data_security_mode": None, "policy_id": "ABC"},
        ],
    )
    def test_what_fits_and_what_only_the_deploy_knows_is_taken(self, changes: dict[str, Any]) -> None:
        """A variable, or a field that a policy may fill, is not refused."""

        @job(cluster=cluster(**changes), environment=etl)
        def one() -> None:
            first()

        assert made(one)["tasks"][0]["environment_key"] == "etl"


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "message", "hint"),
        [
            (
                {"spark_version": "18.3.x"},
                "has the spark_version '18.3.x', but a cluster takes environments from Databricks Runtime 19 on",
                'write `spark_version="19.0.x-scala2.13"` or newer, or remove `environment=`',
            ),
            (
                {"spark_version": None},
                "has no spark_version, but a cluster takes environments from Databricks Runtime 19 on",
                'write `spark_version="19.0.x-scala2.13"` or newer, or remove `environment=`',
            ),
            (
                {"data_security_mode": "SINGLE_USER"},
                "has the data_security_mode 'SINGLE_USER', in which a cluster takes no environments",
                'write `data_security_mode="DATA_SECURITY_MODE_STANDARD"`, or remove `environment=`',
            ),
            (
                {"data_security_mode": None},
                "has no data_security_mode, without which a cluster takes no environments",
                'write `data_security_mode="DATA_SECURITY_MODE_STANDARD"`, or remove `environment=`',
            ),
        ],
    )
    def test_a_cluster_that_takes_no_environments(self, changes: dict[str, Any], message: str, hint: str) -> None:
        """Both rules are the platform's; the cluster of a job and one of a task's own are told alike."""

        @job(cluster=cluster(**changes), environment=etl)
        def of_job() -> None:
            first()
            second()

        fields: Any = cluster(**changes).new_cluster

        @job
        def of_task() -> None:
            first.override(new_cluster=fields, environment=etl)()

        @job
        def of_iterations() -> None:
            second.override(new_cluster=fields, environment=etl)(each([1]))

        assert refused(of_job) == [(f"the cluster `big` of the job `of_job` {message}", hint)]
        assert refused(of_task) == [(f"the `new_cluster` of the task `of_task.first` {message}", hint)]
        assert refused(of_iterations) == [(f"the `new_cluster` of the task `of_iterations.second` {message}", hint)]

    def test_a_kind_of_no_use_in_the_default_environment(self) -> None:
        """dbt has to be in it."""

        @job(cluster=cluster(dependency_mode=MODE))
        def one() -> None:
            native_task("models", dbt_task={"commands": ["dbt run"]})

        ((message, _),) = refused(one)
        assert message == (
            "the task `one.models` is a dbt_task on a cluster in Environments mode, so it needs an environment with "
            "what it runs"
        )

    def test_every_mistake_at_once(self) -> None:
        """Version and access mode of one cluster."""

        @job(cluster=cluster(spark_version="16.4.x-scala2.12", data_security_mode=None), environment=etl)
        def one() -> None:
            first()

        assert len(refused(one)) == 2

    def test_a_mode_that_the_build_can_not_know(self) -> None:
        """Without an environment the tasks get libraries, which the platform may then not install."""

        @job(cluster=cluster(dependency_mode=AUTO))
        def one() -> None:
            first()

        ((message, hint),) = refused(one)
        assert message == (
            f"the cluster `big` of the job `one` has the dependency_mode '{AUTO}', so the build can't tell whether "
            "its tasks take libraries or an environment"
        )
        assert hint == (
            "leave it out for libraries; for an environment add `environment=environment(...)` to the job or the task"
        )

    def test_libraries_of_the_author(self) -> None:
        """They belong into the environment, whose dependencies are installed."""

        @job(cluster=cluster(), environment=etl)
        def one() -> None:
            first.override(libraries=[{"pypi": {"package": "x"}}])()

        assert refused(one) == [
            (
                "the task `one.first` has `libraries`, but its cluster takes an environment instead",
                "use `environment(key, dependencies=[...])`",
            )
        ]

    def test_the_mode_of_libraries(self) -> None:
        """An explicit contradiction is not overruled."""

        @job(cluster=cluster(dependency_mode=LIBRARIES), environment=etl)
        def one() -> None:
            first()

        assert refused(one) == [
            (
                f"the task `one.first` has an environment, but its cluster has the dependency_mode '{LIBRARIES}'",
                "leave `dependency_mode` out, or remove `environment=`",
            )
        ]

    def test_an_existing_cluster(self) -> None:
        """The build can't set its mode."""

        @job
        def one() -> None:
            first.override(existing_cluster_id="0101-x", environment=etl)()

        ((message, _),) = refused(one)
        assert message == "the task `one.first` runs in several places: `environment_key` and `existing_cluster_id`"

    def test_auto_of_a_cluster_of_its_own(self) -> None:
        """As for a job's cluster."""
        fields: Any = cluster(dependency_mode=AUTO).new_cluster

        @job
        def one() -> None:
            first.override(new_cluster=fields)()

        ((message, _),) = refused(one)
        assert message.startswith(f"the `new_cluster` of the task `one.first` has the dependency_mode '{AUTO}'")
