from dbxdec import job, job_cluster, task

small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)


@task(cluster=small, existing_cluster_id="0101-1")
def orders() -> int:
    return 3


@task(notebook_task={"notebook_path": "a"})
def totals() -> int:
    return 3


@job
def sales() -> None:
    orders()
    totals()
