"""Jobs that start when a table is updated."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from authored import Shelf, lines, messages
from dbxdec import DbxdecError, bundle_variable, job, on_update, run_date, task
from dbxdec.authoring import recording
from dbxdec.authoring.jobs import Job
from dbxdec.build.codegen import build_jobs
from dbxdec.errors import Problem
from dbxdec.io_managers import PolarsDeltaIoManager, SparkDeltaIoManager, SparkTableIoManager
from dbxdec.model import warning_checks
from dbxdec.model.job_forms import encode_jobs
from dbxdec.model.manifest import Manifest, decode, encode
from dbxdec.model.mistakes import defining
from dbxdec.testing import run_job
from dbxdec.views import diff, texts

silver = SparkTableIoManager(bundle_variable("catalog") + ".silver", mode="overwrite")
lake = PolarsDeltaIoManager(bundle_variable("lake_root"), mode="overwrite")


@task
def work(x: Any = None) -> None: ...


def made(*jobs: Job[...]) -> Manifest:
    """A manifest by way of its bytes."""
    return decode(
        encode(Manifest("p", "1", "b" * 64, "dbxdec 0", encode_jobs(each.build().dag for each in jobs))), "it"
    )


def refused(*tables: Any, **given: Any) -> list[tuple[str, str | None]]:
    with pytest.raises(DbxdecError) as error:
        on_update(*tables, **given)
    return [(problem.message, problem.hint) for problem in error.value.problems]


class TestTrigger:
    def test_it_is_the_platforms_own(self) -> None:
        """The names of the tables, and the interval in seconds; nothing that was not given."""

        @job(trigger=on_update(silver.table("orders"), min_interval=dt.timedelta(minutes=10)))
        def one() -> None:
            work()

        @job(trigger=on_update("main.silver.orders", bundle_variable("catalog") + ".silver.items"))
        def two() -> None:
            work()

        definitions = build_jobs(made(one, two), wheel="dist/p-1-py3-none-any.whl")
        assert definitions["one"]["trigger"] == {
            "table_update": {
                "table_names": ["${var.catalog}.silver.orders"],
                "min_time_between_triggers_seconds": 600,
            }
        }
        assert definitions["two"]["trigger"] == {
            "table_update": {"table_names": ["main.silver.orders", "${var.catalog}.silver.items"]}
        }

    @pytest.mark.parametrize(
        ("table", "name"),
        [
            (silver.table("main.gold.days"), "main.gold.days"),
            (SparkTableIoManager(bundle_variable("namespace")).table("orders"), "${var.namespace}.orders"),
            (f"{bundle_variable('catalog')}.silver.orders", "${var.catalog}.silver.orders"),
            (bundle_variable("whole"), "${var.whole}"),
        ],
    )
    def test_a_variable_may_hold_some_parts_of_the_name(self, table: Any, name: str) -> None:
        """How many is known to the bundle alone."""
        assert on_update(table) == {"table_update": {"table_names": [name]}}

    def test_a_minute_is_enough(self) -> None:
        """It is the platform's shortest."""
        found: Any = on_update("a.b.c", min_interval=dt.timedelta(seconds=60))
        assert found["table_update"]["min_time_between_triggers_seconds"] == 60

    def test_people_see_it(self) -> None:
        """`dbxdec show` and `dbxdec diff` have it among the settings of the job."""

        def one() -> None:
            work()

        before, after = (
            made(job(trigger=on_update(table, min_interval=dt.timedelta(seconds=90)))(one))
            for table in ("main.silver.orders", "main.silver.items")
        )
        assert dict(texts.settings(before.job("one").settings)) == {
            "trigger.table_update.table_names": '["main.silver.orders"]',
            "trigger.table_update.min_time_between_triggers_seconds": "90",
        }
        (change,) = diff.difference(before, after, {}, {}).changes
        assert (change.what, change.after) == (
            "one.settings.trigger.table_update.table_names",
            '["main.silver.items"]',
        )

    def test_a_run_here_ignores_it_and_dates_follow_the_trigger(self) -> None:
        """The test is the trigger."""
        seen = []

        @job(trigger=on_update(silver.table("orders")))
        def one(day: dt.date = run_date(offset_days=-1)) -> None:
            @task
            def tell(day: dt.date) -> None:
                seen.append(day)

            tell(day)

        run_job(one, started=dt.datetime(2024, 3, 1, tzinfo=dt.UTC))
        assert seen == [dt.date(2024, 2, 29)]


class TestRefused:
    ONLY_NAMES = "the platform watches tables of Unity Catalog: store it with a `SparkTableIoManager`, or start the job"

    @pytest.mark.parametrize(
        ("table", "shown"),
        [
            (lake.table("orders"), "${var.lake_root}/orders"),
            (SparkDeltaIoManager("s3://lake").table("orders"), "s3://lake/orders"),
            ("/Volumes/main/silver/orders", "/Volumes/main/silver/orders"),
            ("s3://lake/orders", "s3://lake/orders"),
        ],
    )
    def test_a_path(self, table: Any, shown: str) -> None:
        """The platform can't watch it."""
        ((message, hint),) = refused(table)
        assert message == f"on_update() got the path {shown}"
        assert hint is not None
        assert hint.startswith(self.ONLY_NAMES)

    @pytest.mark.parametrize(
        ("table", "shown"),
        [
            ("orders", "'orders'"),
            ("silver.orders", "'silver.orders'"),
            ("a.b.c.d", "'a.b.c.d'"),
            ("a..c", "'a..c'"),
            ("", "''"),
            (SparkTableIoManager("silver").table("orders"), "'silver.orders'"),
        ],
    )
    def test_a_name_that_is_not_whole(self, table: Any, shown: str) -> None:
        """Catalog, schema and table are needed."""
        assert refused(table) == [
            (
                f"on_update() got the table {shown}, which is not the whole name of one",
                "the platform needs catalog, schema and table: `main.silver.orders`",
            )
        ]

    @pytest.mark.parametrize("catalog", ["hive_metastore", "spark_catalog"])
    def test_another_catalog(self, catalog: str) -> None:
        """Unity Catalog does not have it."""
        ((message, _),) = refused(f"{catalog}.default.orders")
        assert message == f"on_update() got {catalog}.default.orders, a table outside of Unity Catalog"

    def test_a_table_of_any_task(self) -> None:
        """`{task}` has no value where a job is defined."""
        ((message, _),) = refused(SparkTableIoManager("main.{job}").table("orders"))
        assert message == "on_update() got main.{job}.orders, a table of any job and task"

    def test_what_is_no_table(self) -> None:
        """A manager, a task, a number."""
        manager, *others = [message for message, _ in refused(silver, work, 3)]
        assert manager.startswith("on_update() got SparkTableIoManager('${var.catalog}.silver'")
        assert manager.endswith(", which is not a table")
        assert others == [
            "on_update() got the function `work`, which is not a table",
            "on_update() got 3, which is not a table",
        ]

    def test_no_table(self) -> None:
        """There is nothing to wait for."""
        assert refused() == [("on_update() got no table", '`on_update(io.table("orders"))`')]

    @pytest.mark.parametrize(
        ("given", "message", "hint"),
        [
            (
                dt.timedelta(seconds=59),
                "is 0:00:59, but the platform's shortest is a minute",
                "write `dt.timedelta(minutes=1)` or longer, or leave it out",
            ),
            (dt.timedelta(seconds=90.5), "is 0:01:30.500000, not in whole seconds", "round it"),
            (600, "is 600, not a timedelta", "write `dt.timedelta(seconds=600)`"),
            ("1 hour", "is '1 hour', not a timedelta", "write `dt.timedelta(seconds=600)`"),
        ],
    )
    def test_an_interval(self, given: Any, message: str, hint: str) -> None:
        """At least a minute, in whole seconds."""
        assert refused("a.b.c", min_interval=given) == [(f"`min_interval` of on_update() {message}", hint)]

    def test_all_mistakes_at_once_and_the_rest_of_the_module_too(self) -> None:
        """A build notes them at the line of the call and goes on."""
        problems: list[Problem] = []
        with defining(), recording.collecting(problems):

            @job(trigger=on_update("orders", lake.table("x"), min_interval=dt.timedelta(seconds=1)))
            def one() -> None:
                work(1, 2)  # type: ignore[call-arg]

        assert len(problems) == 3
        assert all("test_triggers.py" in str(problem.where) for problem in problems)
        built = one.build()
        assert (len(messages(built)), len(lines(built))) == (1, 1)

    def test_the_result_of_another_mistake_is_not_told_twice(self) -> None:
        """A manager whose constructor was wrong is one mistake."""
        problems: list[Problem] = []
        with defining(), recording.collecting(problems):
            wrong = SparkTableIoManager("main.silver", mode="no such mode")  # type: ignore[arg-type]
            on_update(wrong.table("orders"))
        assert len(problems) == 1


class TestWarnings:
    def test_a_job_that_starts_itself(self) -> None:
        """Names in a catalog are the same in any case."""

        @task(io_manager=silver.table("Orders"))
        def orders() -> Any: ...

        @job(trigger=on_update(silver.table("orders")))
        def one() -> None:
            orders()

        (warning,) = warning_checks.warn([one.build().dag])
        assert warning.message == (
            "the task `one.orders` writes ${var.catalog}.silver.Orders, whose updates start the job: each run would "
            "start the next one, without end"
        )

    def test_it_starts_by_itself(self) -> None:
        """A constant date would be the same in every run, as with a schedule."""

        @job(trigger=on_update(silver.table("orders")))
        def one(day: dt.date = dt.date(2024, 1, 1)) -> None:
            work(day)

        (warning,) = warning_checks.warn([one.build().dag])
        assert "`day` would be 2024-01-01 on every run" in warning.message

    def test_the_writer_of_another_job_is_not_meant(self) -> None:
        """Only the job's own tasks make a circle."""

        @job(trigger=on_update(silver.table("orders")))
        def one() -> None:
            Shelf()
            work(silver.table("orders"))

        assert warning_checks.warn([one.build().dag]) == []
