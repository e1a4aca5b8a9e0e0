"""Pipelines that use databricks-bundles' classes run where only the runtime is installed."""

from __future__ import annotations

from pathlib import Path

from conftest import Installation
from projects import shop

PIPELINE = """
from __future__ import annotations

import polars as pl
from databricks.bundles import jobs as bundle_jobs
from databricks.bundles.jobs import ClusterSpec, CronSchedule, JobParameterDefinitionDict, PauseStatus, Task

from dbxdec import job, job_cluster, task

paused = CronSchedule(quartz_cron_expression="0 0 1 * * ?", timezone_id="UTC", pause_status=PauseStatus.PAUSED)
large = job_cluster("large", **ClusterSpec(spark_version="16.4.x-scala2.12", num_workers=3).as_dict())


class Mine(Task):
    '''A class of the author's own.'''


def name(parameter: JobParameterDefinitionDict | None) -> str:
    return "sales"


@job(schedule=paused, tags={"of": name(None)}, queue=bundle_jobs.QueueSettings(enabled=True), cluster=large)
def sales(n: int = 3) -> None:
    @task
    def total(n: int) -> int:
        try:
            import databricks.anything
        except ModuleNotFoundError as error:
            print("ABSENT", error)
        return n + 1

    @task
    def report(total: int) -> None:
        print("REPORT", total)

    report(total(n))
"""


def test_settings_written_with_classes_are_no_need_of_the_run(tmp_path: Path, installation: Installation) -> None:
    """The build has the real classes, the run none: the tasks run, and other absent packages stay absent."""
    project = shop(tmp_path / "repository")
    project.write("src/shop/pipelines/sales.py", PIPELINE)
    done = project.build()
    assert done.code == 0, done.output
    (definition,) = project.jobs().values()
    assert definition["schedule"]["pause_status"] == "PAUSED"
    assert definition["job_clusters"][0]["new_cluster"]["num_workers"] == 3
    assert definition["queue"] == {"enabled": True}
    ran = installation.dbxdec(installation.install(project), "run", "sales")
    assert ran.code == 0, ran.output
    assert "REPORT 4" in ran.output
    assert "ABSENT No module named 'databricks.anything'" in ran.output
