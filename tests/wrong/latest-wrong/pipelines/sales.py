from dbxdec import job, latest, task


@task
def orders(n: int) -> int:
    return n


@task
def report(orders: int, n: int) -> None: ...


@job
def sales(n: int = 3) -> None:
    report(latest(orders(n)), latest(n))
