from dbxdec import job, task


@task(max_retris=2)
def orders() -> int:
    return 3


@task
def report(orders: int) -> None: ...


@job(max_concurrent_run=1)
def sales() -> None:
    report(order=orders())
