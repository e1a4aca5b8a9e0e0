from dbxdec import job, job_cluster, task

small = job_cluster("main", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)
large = job_cluster("main", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=8)


@task
def orders() -> int:
    return 3


@task(cluster=large)
def total(orders: int) -> int:
    return orders


@job(cluster=small)
def sales() -> None:
    total(orders())
