from dbxdec import job, task


@task
def orders() -> int:
    return 3


@job
def daily() -> None:
    orders()
    monthly()


@job
def monthly() -> None:
    daily()
