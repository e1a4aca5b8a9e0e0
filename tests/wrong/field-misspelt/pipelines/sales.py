from dbxdec import environment, job, job_cluster, native_task, task

small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type="m5d.large", num_worker=1)
light = environment("light", dependancies=["polars>=1"], environment_version="4")


@task(max_retry=2)
def orders() -> int:
    return 3


@task(environment=light)
def total(orders: int) -> int:
    return orders


@job(cluster=small, max_concurrent_run=1, email_notifications={"on_failures": ["ops@shop.eu"]})
def sales() -> None:
    total(orders())
    native_task("show", notebook_task={"notebok_path": "notebooks/show.ipynb"}, timeout_second=60)
