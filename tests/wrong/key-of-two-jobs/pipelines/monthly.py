from dbxdec import job, task


@task
def orders() -> int:
    return 90


@job
def sales() -> None:
    orders()
