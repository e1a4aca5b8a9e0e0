"""The plugin that pytest loads: it gives each test a lake, and cleans up after each test.

It imports nothing but pytest; a module that a test has not imported needs no cleaning.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.testing.lake import Lake


@pytest.fixture
def dbxdec_lake() -> Lake:
    """Tables in memory that last for the test: give them to several runs as `tables=dbxdec_lake`."""
    from dbxdec.testing.lake import Lake

    return Lake()


@pytest.fixture(scope="session")
def dbxdec_spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The Spark session of the whole test run, started with Delta as a local run starts it; that takes seconds.

    Tables of its own catalog lie in a temporary folder. A session that is there already is used, and left running.
    Tests are skipped where pyspark is not installed.
    """
    sql = pytest.importorskip("pyspark.sql")
    from dbxdec.io_managers import auto_loader, spark_session, spark_start

    if sql.SparkSession.getActiveSession() is not None or spark_start.has_databricks_connect():
        yield spark_session.session()
        return
    warehouse = tmp_path_factory.mktemp("warehouse").as_uri()
    spark = spark_start.of_pyspark(sql.SparkSession.builder.config("spark.sql.warehouse.dir", warehouse))
    auto_loader.provide(spark)
    yield spark
    spark.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Forget the jobs and secrets that a test defines, and the task values that it sets outside of runs."""
    jobs: Any = sys.modules.get("dbxdec.authoring.jobs")
    secrets: Any = sys.modules.get("dbxdec.model.secrets")
    named = secrets.known() if secrets else None
    before = jobs.registered() if jobs else []
    imported = frozenset(sys.modules) if jobs else frozenset()
    yield
    if jobs:
        jobs.forget(job for job in jobs.registered()[len(before) :] if job.fn.__module__ in imported)
    if secrets:
        secrets.restore(named)
    values: Any = sys.modules.get("dbxdec.runtime.task_values")
    if values:
        values.task_values.forget()
