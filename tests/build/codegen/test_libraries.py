"""Libraries of tasks and dependencies of environments: pins by compute, private indexes, wheels by their own names."""

from __future__ import annotations

from typing import Any

import pytest
from databricks.bundles.jobs import Job as BundleJob

from dbxdec import bundle_variable, each, environment, job, job_cluster, native_task, task
from dbxdec.authoring.jobs import Job
from dbxdec.build.codegen import build_jobs, computes_of
from dbxdec.build.codegen.libraries import local_version, name_of, own_name
from dbxdec.model.job_forms import encode_jobs
from dbxdec.model.locked import UNKNOWN, Locked, Pins
from dbxdec.model.manifest import Manifest

WHEEL = "dist/p-1-py3-none-any.whl"
ACME = "libs/acme-1.1-py3-none-any.whl"
SHIPPED = "dist/libraries/acme-1.1+dbxaaaaaaaaaaaa-py3-none-any.whl"
GIT = "tool @ git+https://h.invalid/tool@0123456789012345678901234567890123456789"
INDEX = "https://index.invalid/simple"
new = job_cluster("new", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)
old = job_cluster("old", spark_version="15.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)
PYTHONS = {"16.4.x-scala2.12": "3.12", "15.4.x-scala2.12": "3.11", "environment 4": "3.12", UNKNOWN: "3.11"}
LOCKED = Locked({"3.11": Pins(("polars==1.30.0",)), "3.12": Pins(("polars==1.44.0", GIT, ACME))}, PYTHONS)


@task
def one() -> None: ...


@task
def two() -> None: ...


def made(found: Job[...], *, own: str | None = None, **manifest: Any) -> dict[str, Any]:
    """The definition of a job; databricks-bundles takes it whole."""
    built = found.build()
    assert not built.problems
    whole = Manifest("p", "1", "b" * 64, "dbxdec 0", encode_jobs([built.dag]), **manifest)
    (definition,) = build_jobs(whole, wheel=WHEEL, own=own).values()
    loaded: Any = BundleJob.from_dict(definition).as_dict()  # type: ignore[arg-type]
    assert loaded == definition
    return definition


def pypi(package: str, **more: str) -> dict[str, Any]:
    return {"pypi": {"package": package, **more}}


def test_each_compute_gets_the_pins_of_its_python() -> None:
    """Two clusters of one job, one that exists, and an environment."""

    @job(cluster=new)
    def mixed() -> None:
        one()
        one.override(key="old", cluster=old)()
        one.override(key="there", existing_cluster_id="x")()
        one.override(key="serverless", environment=environment("lean", dependencies=["rich"]))()

    definition = made(mixed, locked=LOCKED, wheels={ACME: "a" * 64})
    tasks = {form["task_key"]: form for form in definition["tasks"]}
    assert tasks["one"]["libraries"] == [{"whl": WHEEL}, pypi("polars==1.44.0"), pypi(GIT), {"whl": SHIPPED}]
    assert tasks["old"]["libraries"] == [{"whl": WHEEL}, pypi("polars==1.30.0")]
    assert tasks["there"]["libraries"] == [{"whl": WHEEL}, pypi("polars==1.30.0")]
    (lean,) = definition["environments"]
    assert lean["spec"]["dependencies"] == [WHEEL, "polars==1.44.0", GIT, SHIPPED, "rich"]


def test_the_iterations_of_a_task_get_them_too() -> None:
    """Libraries stand on the task inside."""

    @task
    def item(x: str) -> None: ...

    @job(cluster=old)
    def many() -> None:
        item(each(["a", "b"]))

    (form,) = made(many, locked=LOCKED)["tasks"]
    assert form["for_each_task"]["task"]["libraries"] == [{"whl": WHEEL}, pypi("polars==1.30.0")]


def test_extra_libraries_come_before_the_pins_and_add_no_second_version() -> None:
    """A requirement of a package that the lock has says nothing more; another wheel has its own name."""

    @job(cluster=new)
    def daily() -> None:
        one()

    libraries = ("Polars>=1", "humanize>=4", ACME)
    locked = Locked({"3.12": Pins(("polars==1.44.0",))}, PYTHONS)
    (form,) = made(daily, locked=locked, libraries=libraries, wheels={ACME: "a" * 64})["tasks"]
    assert form["libraries"] == [{"whl": WHEEL}, pypi("humanize>=4"), {"whl": SHIPPED}, pypi("polars==1.44.0")]


def test_a_private_index_is_named_for_its_packages() -> None:
    """A library names the index of its package; a whole environment names it once, beside the default one."""

    @job(cluster=new)
    def daily() -> None:
        one()
        two.override(environment=environment("lean"))()

    locked = Locked({"3.12": Pins(("acme==1.2", "polars==1.44.0"), {"acme": INDEX})}, PYTHONS)
    definition = made(daily, locked=locked)
    assert definition["tasks"][0]["libraries"][1:] == [pypi("acme==1.2", repo=INDEX), pypi("polars==1.44.0")]
    (lean,) = definition["environments"]
    assert lean["spec"]["dependencies"][1:] == [f"--extra-index-url {INDEX}", "acme==1.2", "polars==1.44.0"]


@pytest.mark.parametrize(
    ("packages", "authors", "options"),
    [
        (("acme==1.2",), [], [f"--index-url {INDEX}"]),
        (("acme==1.2", GIT, ACME), [], [f"--index-url {INDEX}"]),
        (("acme==1.2", "polars==1"), [], [f"--extra-index-url {INDEX}"]),
        (("acme==1.2",), ["--index-url https://mine.invalid/simple"], []),
        (("acme==1.2",), ["--extra-index-url=https://mine.invalid/simple"], []),
        (("acme==1.2",), ["-i https://mine.invalid/simple", "rich"], []),
        (("acme==1.2",), ["iso8601"], [f"--index-url {INDEX}"]),
    ],
)
def test_the_options_of_an_environment_leave_the_authors_alone(
    packages: tuple[str, ...], authors: Any, options: list[str]
) -> None:
    """The one index of all packages takes the place of the default; an author's own options win."""

    @job(environment=environment("lean", dependencies=authors))
    def daily() -> None:
        one()

    locked = Locked({"3.12": Pins(packages, {"acme": INDEX})}, PYTHONS)
    (lean,) = made(daily, locked=locked, wheels={ACME: "a" * 64})["environments"]
    assert [text for text in lean["spec"]["dependencies"] if text.startswith("-")] == (
        options or [text for text in authors if text.startswith("-")]
    )


def test_dbxdec_itself_stands_where_no_pin_has_it() -> None:
    """Without a lock it comes after the extra libraries; in a lock it takes the place of its pin."""

    @job(cluster=new)
    def daily() -> None:
        one()

    (form,) = made(daily, own="dbxdec==0.1.0", libraries=("humanize>=4",))["tasks"]
    assert form["libraries"] == [{"whl": WHEEL}, pypi("humanize>=4"), pypi("dbxdec==0.1.0")]
    pinned = Locked({"3.12": Pins(("dbxdec==0.1.0", "polars==1"))}, PYTHONS)
    (form,) = made(daily, own="dbxdec.whl", locked=pinned)["tasks"]
    assert form["libraries"] == [{"whl": WHEEL}, pypi("dbxdec==0.1.0"), pypi("polars==1")]
    folder = Locked({"3.12": Pins(("dbxdec", "polars==1"))}, PYTHONS)
    (form,) = made(daily, own="dbxdec.whl", locked=folder)["tasks"]
    assert form["libraries"] == [{"whl": WHEEL}, {"whl": "dist/libraries/dbxdec.whl"}, pypi("polars==1")]


def test_the_computes_of_jobs_are_those_that_get_the_wheel() -> None:
    """Not the cluster of a native task, nor one whose image has the wheel; each with an owner for messages."""
    image = job_cluster("image", spark_version="14.3.x-scala2.12", docker_image={"url": "x"}, node_type_id="a")

    @job(cluster=old)
    def first() -> None:
        one.override(new_cluster={"spark_version": bundle_variable("version"), "node_type_id": "a", "num_workers": 1})()
        two.override(cluster=image, libraries=[])()
        two.override(key="again")()
        native_task("show", notebook_task={"notebook_path": "/x"}, cluster=new)

    @job
    def second() -> None:
        native_task("script", spark_python_task={"python_file": "/Workspace/x.py"})

    assert computes_of([found.build().dag for found in (first, second)]) == {
        UNKNOWN: "the cluster of the task `first.one`",
        "15.4.x-scala2.12": "the cluster `old` of the job `first`",
        "environment 4": "the environment `default` of the job `second`",
    }


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (ACME, "acme-1.1+dbx0123456789ab-py3-none-any.whl"),
        ("acme-1.1+cu118-py3-none-any.whl", "acme-1.1+cu118.dbx0123456789ab-py3-none-any.whl"),
        ("a/acme-1.1-2-cp312-cp312-linux_x86_64.whl", "acme-1.1+dbx0123456789ab-2-cp312-cp312-linux_x86_64.whl"),
        ("libs/own.whl", "own.whl"),
    ],
)
def test_the_name_of_a_wheel_follows_its_content(path: str, name: str) -> None:
    """The version gets a local part, with which an installer takes it for another one."""
    assert own_name(path, "0123456789ab" + "c" * 52) == name
    assert local_version("1.1", "0" * 64) == "+dbx000000000000"


@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("polars==1.44.0", "polars"),
        ("Ruamel.Yaml >= 1", "ruamel-yaml"),
        ("httpx[http2]>=0.27,<1", "httpx"),
        ("rich", "rich"),
        (GIT, "tool"),
        ("acme @ https://h.invalid/acme-1-py3-none-any.whl", "acme"),
        (ACME, None),
        ("acme-1-py3-none-any.whl", None),
        ("-r requirements.txt", None),
        ("--index-url https://h.invalid", None),
        ("/Workspace/x.whl", None),
        ("${var.library}", None),
    ],
)
def test_the_package_of_a_library(library: str, name: str | None) -> None:
    """Requirements have one; files and options have none."""
    assert name_of(library) == name
