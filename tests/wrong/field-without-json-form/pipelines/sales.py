from dbxdec import job, task


@task(timeout_seconds=float("inf"))
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
