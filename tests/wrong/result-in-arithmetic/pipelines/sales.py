from dbxdec import job, task


@task
def orders(n: int) -> int:
    return n


@task
def report(orders: int) -> None: ...


@job
def sales(n: int = 3) -> None:
    report(orders(n + 1) * 2)
