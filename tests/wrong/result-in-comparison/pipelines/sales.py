from dbxdec import job, task


@task
def orders(n: int) -> int:
    return n


@task
def report(big: bool) -> None: ...


@job
def sales(n: int = 3) -> None:
    report(orders(n) > 100)
    report.override(key="same")(n == 3)
