"""What a type checker must accept: the platform's fields, as dicts, as databricks-bundles' classes, as variables."""

from __future__ import annotations

import datetime as dt
from typing import Any, assert_type

from databricks.bundles.core import Variable
from databricks.bundles.jobs import (
    AutoScale,
    CronSchedule,
    JobsHealthRules,
    NotebookTask,
    PauseStatus,
    PerformanceTarget,
    RunIf,
    Task as BundleTask,
    TaskEmailNotifications,
)

from dbxdec import (
    Environment,
    JobCluster,
    TaskProxy,
    bundle_target,
    bundle_variable,
    condition,
    environment,
    job,
    job_cluster,
    native_task,
    run_date,
    secret,
    task,
)

root = bundle_variable("root")
small = job_cluster(
    "small",
    spark_version="16.4.x-scala2.12",
    autoscale={"min_workers": 1, "max_workers": bundle_variable("workers")},
    data_security_mode="SINGLE_USER",
    spark_conf={"spark.hadoop.token": secret("s", "k"), "of": f"{root}/x"},
    init_scripts=[{"volumes": {"destination": "/Volumes/x.sh"}}],
)
large = job_cluster("large", autoscale=AutoScale(min_workers=1, max_workers=9), num_workers=Variable(path="var.n", type=int))
lean = environment("lean", environment_version="4", dependencies=["polars", bundle_variable("wheel")])
assert_type(small, JobCluster)
assert_type(lean, Environment)


@task(
    cluster=large,
    max_retries=bundle_variable("retries"),
    timeout_seconds=60,
    run_if="ALL_DONE",
    email_notifications={"on_failure": [bundle_variable("team")]},
    health={"rules": [{"metric": "RUN_DURATION_SECONDS", "op": "GREATER_THAN", "value": 60}]},
    libraries=[{"pypi": {"package": "polars"}}, {"whl": root / "x.whl"}],
)
def count(day: dt.date) -> int:
    return 1


@task(
    environment=lean,
    run_if=RunIf.NONE_FAILED,
    email_notifications=TaskEmailNotifications(on_failure=["me@example.com"]),
    health=JobsHealthRules(rules=[]),
    description=None,
    disabled=Variable(path="var.off", type=bool),
)
def names() -> list[str]:
    return []


@job(
    key="nightly",
    cluster=small,
    name=f"nightly {bundle_target()}",
    max_concurrent_runs=bundle_variable("runs"),
    schedule={"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"},
    tags={"team": "ops", "target": bundle_target()},
    performance_target="STANDARD",
    queue={"enabled": True},
    permissions=[{"level": "CAN_VIEW", "group_name": "users"}],
    trigger={"file_arrival": {"url": bundle_variable("landing")}},
    webhook_notifications={"on_failure": [{"id": bundle_variable("hook")}]},
    run_as=bundle_variable("identity"),
)
def as_dicts(day: dt.date = run_date(), top: int = 3, name: str = "x") -> None:
    rows = count(day)
    many = names()
    shown = native_task(
        "show",
        notebook_task={"notebook_path": "a.py", "base_parameters": {"day": day, "top": top, "rows": rows}},
        max_retries=1,
        run_if="AT_LEAST_ONE_SUCCESS",
        depends_on=[many, condition(rows, ">", top).true],
        cluster=small,
    )
    assert_type(shown, TaskProxy[None])
    waits: list[TaskProxy[Any]] = [shown, rows]
    native_task("sql", sql_task={"file": {"path": "a.sql"}, "warehouse_id": bundle_variable("w")}, depends_on=waits)
    native_task("script", spark_python_task={"python_file": "a.py", "parameters": [rows.uri, day, shown.state]})
    native_task("class", notebook_task=NotebookTask(notebook_path="a.py", base_parameters={"rows": rows, "name": name}))
    native_task("variable", sql_task=bundle_variable("all"), environment=lean, depends_on=(shown,))
    native_task(
        "many",
        for_each_task={
            "inputs": many,
            "concurrency": 4,
            "task": {"task_key": "one", "notebook_task": {"notebook_path": "a.py", "base_parameters": {"x": day}}},
        },
    )
    native_task("of class", for_each_task={"inputs": "[]", "task": BundleTask(task_key="x")})
    count.override(key="again", max_retries=2, run_if=RunIf.ALL_DONE, cluster=small, depends_on=[shown])(day)
    count.override(new_cluster={"spark_version": "16.4.x-scala2.12", "num_workers": 1}, depends_on=waits)(day)


@job(
    environment=lean,
    max_concurrent_runs=Variable(path="var.runs", type=int),
    schedule=CronSchedule(quartz_cron_expression="0 0 5 * * ?", timezone_id="UTC", pause_status=PauseStatus.PAUSED),
    performance_target=PerformanceTarget.STANDARD,
    description=None,
)
def as_classes() -> None:
    names()
