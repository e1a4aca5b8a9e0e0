from dbxdec import job, task


@task
def orders(n: int) -> int:
    return n


@task
def report(orders: int) -> None: ...


@job
def sales(n: int = 3, dry: bool = False) -> None:
    found = orders(n)
    if found:
        report(found)
    if not dry:
        report.override(key="again")(found)
