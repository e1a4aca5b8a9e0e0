from dbxdec import environment, job, job_cluster, native_task, task

small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers="1")
light = environment("light", dependencies="polars>=1", environment_version=4)


@task(max_retries="2")
def orders() -> int:
    return 3


@task(environment=light)
def total(orders: int) -> int:
    return orders


@job(
    cluster=small,
    max_concurrent_runs=True,
    tags=["ops"],
    schedule={"quartz_cron_expression": 5, "timezone_id": "UTC", "pause_status": "STOPPED"},
)
def sales() -> None:
    total(orders())
    native_task("show", notebook_task="notebooks/show.ipynb")
