from dbxdec import job, task

raise RuntimeError("the shop is closed")


@task
def orders() -> int:
    return 3


@job
def daily() -> None:
    orders()
