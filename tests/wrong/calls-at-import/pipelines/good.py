from dbxdec import job, task


@task
def orders() -> int:
    return 3


@job
def good() -> None:
    orders()
