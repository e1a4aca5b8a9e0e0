from dbxdec import job, task


@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    @task(task_key="all_totals")
    def totals() -> int:
        return 3

    orders.override(key="first", job_cluster_key="small")()
    orders.override(key="second", io_manager="lake")()
    orders.override(key="third", timeout_seconds={60})()
    orders(7)
    totals()
