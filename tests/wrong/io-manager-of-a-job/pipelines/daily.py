from dbxdec import job, task


@task
def orders() -> int:
    return 3


@job(io_manager="lake")
def daily() -> None:
    orders()
