"""What a type checker must refuse in the platform's fields: each line that ends in `# wrong`, and no other."""

from __future__ import annotations

from databricks.bundles.jobs import CronSchedule

from dbxdec import environment, job, job_cluster, native_task, task

job_cluster("a", num_workers="1")  # wrong
job_cluster("a", autoscale={"min_worker": 1})  # wrong
job_cluster("a", data_security_mode="SINGLE")  # wrong
job_cluster("a", spark_conf={"a": 1})  # wrong
job_cluster("a", init_scripts=[{"volume": {"destination": "x"}}])  # wrong
environment("e", dependencies="polars")  # wrong
environment("e", environment_version=4)  # wrong
environment("e", dependancies=["polars"])  # wrong


@task(max_retries="2")  # wrong
def retries() -> None: ...


@task(max_retry=2)  # wrong
def misspelt() -> None: ...


@task(run_if="ALL_DON")  # wrong
def late() -> None: ...


@task(email_notifications={"on_failures": ["x"]})  # wrong
def nested() -> None: ...


@task(python_wheel_task={"package_name": "a", "entry_point": "b"})  # wrong
def ours() -> None: ...


@job(max_concurrent_runs="1")  # wrong
def runs() -> None: ...


@job(max_concurrent_run=1)  # wrong
def run() -> None: ...


@job(schedule={"quartz_cron_expression": "x", "timezone": "UTC"})  # wrong
def scheduled() -> None: ...


@job(performance_target="STANDRD")  # wrong
def target() -> None: ...


@job(tags={"a": 1})  # wrong
def tagged() -> None: ...


CronSchedule(quartz_cron_expression=5, timezone_id="UTC")  # wrong


@task
def fine() -> int:
    return 1


@job
def body() -> None:
    native_task("a", notebok_task={"notebook_path": "x"})  # wrong
    native_task("a", notebook_task="x")  # wrong
    native_task("a", timeout_seconds="1", notebook_task={"notebook_path": "x"})  # wrong
    native_task("a", depends_on=fine(), run_if="ALL_DON")  # wrong
    native_task("a", task_key="x")  # wrong
    native_task(notebook_task={"notebook_path": "x"})  # wrong
    fine.override(max_retries="1")  # wrong
    fine.override(max_retris=1)  # wrong
    fine.override(run_if="ALL_DON")  # wrong
    fine.override(depends_on=3)  # wrong
    fine.override(cluster=environment("e"))  # wrong
