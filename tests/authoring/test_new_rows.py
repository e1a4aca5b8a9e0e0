"""`.changes()` in a job's body: what the manifest says of it, what people see, and what is refused or warned of."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
import pytest

from dbxdec import DeltaMerge, bundle_variable, daily, each, job, job_cluster, latest, task
from dbxdec.authoring.jobs import BuiltJob
from dbxdec.io_managers import PolarsDeltaIoManager, PolarsParquetIoManager, SparkDeltaIoManager
from dbxdec.model import checks, dag, warning_checks
from dbxdec.model.changes import Changes
from dbxdec.model.job_forms import decode_job, encode_jobs
from dbxdec.model.manifest import Manifest
from dbxdec.views import diff, graph, texts

lake = PolarsDeltaIoManager(bundle_variable("root"), mode="append")
orders = lake.table("bronze/orders")
small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)


@task(io_manager=lake.table("silver/orders"))
def clean(orders: pl.LazyFrame) -> pl.LazyFrame:
    raise NotImplementedError


@task(io_manager=orders)
def load() -> pl.DataFrame:
    raise NotImplementedError


@task(io_manager=lake.table("bronze/days", mode="overwrite"))
def rewrites() -> pl.DataFrame:
    raise NotImplementedError


def of(body: Callable[[], Any], **options: Any) -> BuiltJob:
    """The job with this body."""
    return job(**options)(body).build(__name__)


def said(built: BuiltJob) -> str:
    return "\n".join(map(str, built.problems))


def test_the_manifest_has_what_was_asked_for() -> None:
    """A table and a result, and the form comes back as it was."""

    def reads() -> None:
        clean(load().changes(kind="latest", by=["id", "day"], on_rewrite="skip"))
        clean.override(key="other", io_manager=lake.table("other"))(orders.changes(starting="latest"))

    built = of(reads)
    assert not built.problems
    form = encode_jobs([built.dag])["reads"]
    assert json.loads(json.dumps(form["tasks"][1]["inputs"]["orders"])) == {
        "task": "load",
        "output": "result",
        "rows": "newest",
        "changes": {"kind": "latest", "by": ["id", "day"], "starting": "snapshot", "on_rewrite": "skip"},
    }
    again = decode_job("reads", form)
    assert [task.inputs for task in again.tasks] == [task.inputs for task in built.dag.tasks]
    assert dag.changes_of(again.tasks[2])["orders"][1] == Changes(starting="latest")


def test_a_reader_runs_after_the_task_whose_table_it_reads() -> None:
    """`x.changes()` is an edge, as `x` is; a table is none."""

    def reads() -> None:
        clean(load().changes())

    assert of(reads).dag.tasks[1].depends_on == (dag.Dependency("load"),)


def test_only_jobs_that_read_what_is_new_have_its_parameters() -> None:
    """`dbxdec_adopt` and `dbxdec_restart`, empty unless a person gives them."""

    def reads() -> None:
        clean(orders.changes())

    def whole() -> None:
        clean(orders)

    assert [(one.name, one.default) for one in of(reads).dag.parameters] == [
        ("dbxdec_adopt", ""),
        ("dbxdec_restart", ""),
    ]
    assert not of(whole).dag.parameters


def test_people_see_the_call() -> None:
    """In `show`, and at the edge of a drawing."""

    def reads() -> None:
        clean(load().changes(kind="latest", by="id"))

    built = of(reads).dag
    facts = dict(texts.facts(built.tasks[1], built))
    assert (
        facts["orders <-"]
        == 'load.changes(kind="latest", by="id") (the last change of each key that is new to this task)'
    )
    assert "-->|new|" in graph.mermaid(built)


def reads_in_a_for_each() -> None:
    @task(io_manager=lake.table("each"))
    def one(item: int, orders: pl.LazyFrame) -> pl.LazyFrame:
        raise NotImplementedError

    one(each([1, 2]), orders.changes())


def reads_without_a_table() -> None:
    @task
    def count(orders: pl.LazyFrame) -> int:
        raise NotImplementedError

    count(orders.changes())


def reads_into_files() -> None:
    clean.override(io_manager=PolarsParquetIoManager("/files"))(orders.changes())


def reads_into_an_overwrite() -> None:
    clean.override(io_manager=lake.table("silver", mode="overwrite", partition_by="day"))(orders.changes())


def reads_into_a_first_write() -> None:
    clean.override(io_manager=lake.table("silver", mode="error"))(orders.changes())


def reads_its_own_table() -> None:
    clean.override(io_manager=orders)(orders.changes())


def reads_its_own_table_by_another_spelling() -> None:
    here = PolarsDeltaIoManager(bundle_variable("root") + "/./", mode="append").table("silver/clean")
    clean.override(io_manager=lake.table("silver/clean"))(here.changes())


def reads_in_a_list() -> None:
    @task(io_manager=lake.table("silver"))
    def many(orders: list[pl.LazyFrame]) -> pl.LazyFrame:
        raise NotImplementedError

    many([orders.changes()])


def reads_a_small_result() -> None:
    @task
    def number() -> int:
        raise NotImplementedError

    clean(number().changes())


def reads_files() -> None:
    clean(PolarsParquetIoManager("/files").table("x").changes())


def reads_no_table() -> None:
    clean(lake.changes())


def reads_what_was_written() -> None:
    clean(load().written.changes())


def reads_the_latest_of_it() -> None:
    clean(latest(load().changes()))


def merges_on_serverless() -> None:
    @task(io_manager=SparkDeltaIoManager("/spark").table("silver"))
    def upsert(orders: Any) -> DeltaMerge:
        raise NotImplementedError

    upsert(orders.changes())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (reads_in_a_for_each, "it runs for each of many items"),
        (reads_without_a_table, "it stores no table"),
        (reads_into_files, "its result goes through PolarsParquetIoManager, which can't keep how far it has read"),
        (reads_into_an_overwrite, 'its result is stored in mode="overwrite": the new rows would replace'),
        (reads_into_a_first_write, "its second run would fail"),
        (reads_its_own_table, "`orders` is the table that it writes"),
        (reads_its_own_table_by_another_spelling, "`orders` is the table that it writes"),
        (reads_in_a_list, "has `.changes()` inside another value"),
        (reads_a_small_result, "stores no Delta table"),
        (reads_files, "PolarsParquetIoManager can't tell which rows of a table are new"),
        (reads_no_table, "`.changes()` is asked of an IoManager, not of a table"),
        (reads_what_was_written, "`.changes()` is asked of what this run wrote"),
        (reads_the_latest_of_it, "is `latest` of the new rows of the result of the task `load`"),
        (merges_on_serverless, "is a merge through Spark on serverless compute"),
    ],
)
def test_what_can_not_be_kept_is_refused(body: Callable[[], None], message: str) -> None:
    """At the line of the call, with what to write instead."""
    built = of(body)
    assert message in said(built)
    assert all(problem.hint for problem in built.problems)


def test_a_merge_on_a_cluster_or_at_least_once_is_fine() -> None:
    """The session of a cluster takes the settings; and an author may accept rows twice."""

    @task(io_manager=SparkDeltaIoManager("/spark").table("silver"))
    def upsert(orders: Any) -> DeltaMerge:
        raise NotImplementedError

    def reads() -> None:
        upsert(orders.changes())

    def twice() -> None:
        upsert(orders.changes(at_least_once=True))

    assert not of(reads, cluster=small).problems
    assert not of(twice).problems


def test_jobs_with_keys_are_refused() -> None:
    """A run for a day gives the rows of that day."""

    @job
    def reads(day: dt.date = daily(since=dt.date(2024, 1, 1))) -> None:
        clean(orders.changes())

    assert "its job has keys (`day`)" in said(reads.build(__name__))


def test_a_parameter_of_that_name_is_refused() -> None:
    """dbxdec adds it."""

    @job
    def reads(dbxdec_adopt: str = "") -> None:
        clean(orders.changes())

    assert "has a parameter `dbxdec_adopt`, which dbxdec adds" in said(reads.build(__name__))


def test_a_source_that_is_overwritten_is_warned_of() -> None:
    """Unless such versions are left out, or a feed tells what has changed to a reader that merges by a key."""

    def reads() -> None:
        clean(rewrites().changes())

    def skips() -> None:
        clean(rewrites().changes(on_rewrite="skip"))

    def fed() -> None:
        with_feed = rewrites.override(
            io_manager=lake.table("days", mode="overwrite", properties={"delta.enableChangeDataFeed": True})
        )
        clean(with_feed().changes())

    def fed_by_key() -> None:
        with_feed = rewrites.override(
            io_manager=lake.table("days", mode="overwrite", properties={"delta.enableChangeDataFeed": True})
        )
        task(io_manager=lake.table("copy"))(merges)(with_feed().changes(kind="latest", by="id"))

    def by_key() -> None:
        merged = task(io_manager=lake.table("copy"))(merges)
        merged(rewrites().changes(kind="latest", by="id"))

    def merges(days: pl.LazyFrame) -> DeltaMerge:
        raise NotImplementedError

    warned = {body.__name__: warning_checks.warn([of(body).dag]) for body in (reads, by_key, skips, fed, fed_by_key)}
    hints = {name: str(one) for name, found in warned.items() for one in found if "overwrites" in str(one)}
    assert list(hints) == ["reads", "by_key", "fed"]
    assert "are new once more" in hints["fed"]
    # With a feed an overwrite gives a reader of rows those again that it stores again.
    assert ['`kind="latest", by=...`' in hint for hint in hints.values()] == [True, False, True]


def test_new_names_are_told_before_a_deploy() -> None:
    """A renamed reader of a table that is there needs to be told where it begins."""

    def reads() -> None:
        clean(orders.changes())

    def tidy(orders: pl.LazyFrame) -> pl.LazyFrame:
        raise NotImplementedError

    def renamed() -> None:
        task(io_manager=lake.table("silver/orders"))(tidy)(orders.changes())

    def manifest(body: Callable[[], None]) -> Manifest:
        built = of(body, key="reads").dag
        assert not checks.check([built])
        return Manifest("p", "1", "b" * 64, "dbxdec 0", encode_jobs([built]))

    changes = diff.difference(manifest(reads), manifest(renamed), {}, {}).changes
    added = next(change for change in changes if change.what == "reads.tasks.tidy")
    assert "its next run needs `--adopt tidy=...`" in str(added.effect)


def test_a_new_name_of_the_job_is_told_before_a_deploy() -> None:
    """So is a reader that has moved to another job; one that comes to a table that tasks share begins by itself."""

    def reads() -> None:
        clean(orders.changes())

    def shares(*keys: str) -> Callable[[], None]:
        def body() -> None:
            for key in keys:
                shared = lake.table("silver/all", shared=True)
                clean.override(key=key, io_manager=shared)(orders.changes())

        return body

    def effects(old: Mapping[str, Callable[[], None]], new: Mapping[str, Callable[[], None]]) -> list[str]:
        def made(bodies: Mapping[str, Callable[[], None]]) -> Manifest:
            built = [of(body, key=key).dag for key, body in bodies.items()]
            assert not checks.check(built)
            return Manifest("p", "1", "b" * 64, "dbxdec 0", encode_jobs(built))

        found = diff.difference(made(old), made(new), {}, {})
        assert not any("changes later" in line for line in found.deploy)
        return [change.what for change in found.changes if "--adopt clean=..." in str(change.effect)]

    assert effects({"hourly": reads}, {"later": reads}) == ["later.tasks.clean"]
    assert effects({"hourly": reads}, {"hourly": reads}) == []
    assert effects({"hourly": shares("a")}, {"hourly": shares("a"), "later": shares("clean")}) == []
    assert effects({"hourly": shares("a")}, {"later": shares("clean")}) == ["later.tasks.clean"]


def test_a_source_that_may_not_be_there_yet_needs_a_reader_that_takes_none() -> None:
    """Its reader gets what is new in the table, also if the task that writes it has failed in this run."""

    def reads() -> None:
        clean.override(run_if="ALL_DONE")(load().changes())

    built = of(reads)
    (problem,) = checks.check([built.dag])
    assert "it is None if there is no table yet, or nothing new in it" in str(problem)
