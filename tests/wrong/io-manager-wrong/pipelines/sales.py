from dbxdec import job, task


@task(io_manager="lake/orders")
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
