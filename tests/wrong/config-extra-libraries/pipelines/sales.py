from dbxdec import job, job_cluster, task


@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()


@job(cluster=job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1))
def on_a_cluster() -> None:
    orders()
