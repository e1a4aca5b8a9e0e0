from dbxdec import job, task


@task
def orders() -> int:
    return 3


@job(parameters=[{"name": "n", "default": "3"}], job_clusters=[])
def daily() -> None:
    orders()
