from dbxdec import job, task


@task(task_key="all_orders", depends_on=[], job_cluster_key="small")
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
