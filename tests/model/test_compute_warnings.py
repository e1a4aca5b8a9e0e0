"""Warnings about compute: clusters without Unity Catalog, and fields that the bundle's CLI does not know."""

from __future__ import annotations

from typing import Any

import pytest

from authored import Frame, Shelf
from dbxdec import bundle_variable, each, environment, job, job_cluster, latest, native_task, task
from dbxdec.authoring.jobs import Job
from dbxdec.io_managers import PolarsDeltaIoManager, SparkTableIoManager
from dbxdec.model import warning_checks

small = job_cluster("small", spark_version="16.4.x-scala2.12", num_workers=1)
silver = SparkTableIoManager(bundle_variable("catalog") + ".silver", mode="overwrite")
lake = PolarsDeltaIoManager(bundle_variable("lake_root"), mode="overwrite")


@task
def work(x: Any = None) -> None: ...


@task(io_manager=silver)
def orders() -> Any: ...


def warned(made: Job[...]) -> list[tuple[str, str | None]]:
    built = made.build()
    assert built.problems == ()
    return [(problem.message, problem.hint) for problem in warning_checks.warn([built.dag])]


HINT = (
    'write `data_security_mode="SINGLE_USER"` there, the dedicated access mode, or "USER_ISOLATION", the standard one'
)


class TestUnityCatalog:
    def test_a_cluster_without_an_access_mode_is_warned_of_once(self) -> None:
        """The table of one of its tasks is named; the line to write is given."""

        @job(cluster=small)
        def one() -> None:
            orders() >> orders.override(key="again", io_manager=silver.table("again"))()

        ((message, hint),) = warned(one)
        assert message == (
            "the cluster `small` of the job `one` has no data_security_mode, so it has no Unity Catalog, but the "
            "task `orders` uses ${var.catalog}.silver.orders"
        )
        assert hint == HINT

    @pytest.mark.parametrize(
        "wire",
        [
            lambda: work(silver.table("rates")),
            lambda: work(orders.override(cluster=mode("USER_ISOLATION"))()),
            lambda: work(latest(orders.override(cluster=mode("USER_ISOLATION"))())),
            lambda: work([silver.table("rates")]),
            lambda: work.override(key="n")(each([1])) >> orders(),
            lambda: PolarsVolume.make()(),
        ],
    )
    def test_readers_count_too(self, wire: Any) -> None:
        """A table that another job writes, a result of another cluster, and paths of volumes."""

        @job(cluster=small)
        def one() -> None:
            wire()

        ((message, _),) = warned(one)
        assert message.startswith("the cluster `small` of the job `one` has no data_security_mode")

    def test_a_cluster_of_a_tasks_own(self) -> None:
        """It is named by its task."""

        @job
        def one() -> None:
            orders.override(new_cluster={"spark_version": "16.4.x-scala2.12", "num_workers": 1})()

        ((message, _),) = warned(one)
        assert message == (
            "the `new_cluster` of the task `one.orders` has no data_security_mode, so it has no Unity Catalog, but the "
            "task uses ${var.catalog}.silver.orders"
        )

    @pytest.mark.parametrize(
        "fields",
        [
            {"data_security_mode": "SINGLE_USER"},
            {"data_security_mode": bundle_variable("access")},
            {"policy_id": "ABC"},
        ],
    )
    def test_a_cluster_that_has_one_or_may_have_one(self, fields: dict[str, Any]) -> None:
        """A policy may set it."""

        @job(cluster=job_cluster("small", spark_version="16.4.x-scala2.12", num_workers=1, **fields))
        def one() -> None:
            orders()

        assert warned(one) == []

    @pytest.mark.parametrize(
        "manager",
        [
            lake,
            SparkTableIoManager("hive_metastore.silver", mode="overwrite"),
            SparkTableIoManager("spark_catalog.default", mode="overwrite"),
            Shelf("${var.lake}"),
        ],
    )
    def test_tables_outside_of_unity_catalog(self, manager: Any) -> None:
        """They need no access mode."""

        @task(io_manager=manager)
        def other() -> Frame: ...  # type: ignore[empty-body]

        other.fn.__annotations__.clear()

        @job(cluster=small)
        def one() -> None:
            other()

        assert warned(one) == []

    def test_serverless_and_an_existing_cluster(self) -> None:
        """Serverless has it always; the other is not defined here."""

        @job
        def one() -> None:
            orders() >> orders.override(key="b", io_manager=silver.table("b"), existing_cluster_id="0101-x")()

        assert warned(one) == []

    def test_native_tasks_are_not_looked_into(self) -> None:
        """What they use is not known."""

        @job(cluster=small)
        def one() -> None:
            native_task("show", notebook_task={"notebook_path": "/x"})
            orders.override(cluster=mode("SINGLE_USER"))()

        assert warned(one) == []


def mode(name: Any) -> Any:
    return job_cluster("other", spark_version="16.4.x-scala2.12", num_workers=1, data_security_mode=name)


class PolarsVolume:
    """A task that stores its result in a volume."""

    @staticmethod
    def make() -> Any:
        manager = PolarsDeltaIoManager(f"/Volumes/{bundle_variable('catalog')}/x/files", mode="overwrite")

        @task(io_manager=manager)
        def stored() -> Any: ...

        return stored


class TestFieldsOfNoCli:
    """databricks-bundles knows fields that the schema of the CLI lacks: the author's pass, with a warning."""

    FATE = "which the bundle's CLI does not know: it leaves the field out, and a bundle in Python fails"

    def test_of_a_job_and_a_task(self) -> None:
        """Each is named with its owner."""
        spec: Any = [{"environment_variables_key": "e", "spec": {"variables": {"A": "1"}}}]

        @job(environment_variables=spec)
        def one() -> None:
            work.override(environment_variables_key="e")()

        assert [message for message, _ in warned(one)] == [
            f"the job `one` has the field `environment_variables`, {self.FATE}",
            f"the task `one.work` has the field `environment_variables_key`, {self.FATE}",
        ]

    def test_of_an_environment(self) -> None:
        """The file of a project is one of its fields."""

        @job(environment=environment("etl", project_environment="/Workspace/pyproject.toml"))
        def one() -> None:
            work()

        ((message, hint),) = warned(one)
        assert message == f"the environment `etl` of the job `one` has the field `project_environment`, {self.FATE}"
        assert hint == "leave it out until the CLI that deploys has it; `dependencies` says what to install"

    def test_none_is_not_set(self) -> None:
        """A field that is None is left out anyway."""
        unset: Any = None

        @job(environment_variables=unset, environment=environment("etl", project_environment=None))
        def one() -> None:
            work.override(environment_variables_key=None)()

        assert warned(one) == []


class TestOldRuntimes:
    def test_a_cluster_with_an_older_python_is_warned_of_once(self) -> None:
        """No task could install dbxdec there; the line to write is given."""
        old = job_cluster("old", spark_version="14.3.x-scala2.12", num_workers=1)

        @job(cluster=old)
        def one() -> None:
            work() >> work.override(key="again")()

        ((message, hint),) = warned(one)
        assert message == (
            "the cluster `old` of the job `one` has the spark_version 14.3.x-scala2.12, whose Python is older than "
            "3.11: dbxdec can't be installed there"
        )
        assert hint == 'write `spark_version="15.4.x-scala2.12"` or newer'

    @pytest.mark.parametrize(
        "fields",
        [
            {"spark_version": "15.4.x-scala2.12"},
            {"spark_version": "${var.spark}"},
            {"spark_version": "14.3.x-scala2.12", "docker_image": {"url": "x"}},
            {"spark_version": "auto:latest-lts"},
        ],
    )
    def test_others_are_not(self, fields: dict[str, Any]) -> None:
        """Newer ones, those that only a deploy knows, and images with a Python of their own."""

        @job(cluster=job_cluster("other", num_workers=1, **fields))
        def one() -> None:
            work()

        assert [message for message, _ in warned(one) if "Python" in message] == []


class TestEnvironments:
    @pytest.mark.parametrize(
        ("field", "version", "count"),
        [
            ("environment_version", "1", 1),
            ("client", "1", 1),
            ("environment_version", "2", 0),
            ("client", "3", 0),
            ("environment_version", "${var.version}", 0),
        ],
    )
    def test_one_whose_python_is_too_old_is_warned_of(self, field: str, version: str, count: int) -> None:
        """The first version has Python 3.10, on which no wheel that needs dbxdec can be installed."""

        fields: dict[str, Any] = {field: version}

        @job(environment=environment("old", **fields))
        def one() -> None:
            work()

        found = warned(one)
        assert len(found) == count
        for message, hint in found:
            assert (
                f"the environment `old` of the job `one` has the {field} 1, whose Python is older than 3.11" in message
            )
            assert "environment_version" in (hint or "")
