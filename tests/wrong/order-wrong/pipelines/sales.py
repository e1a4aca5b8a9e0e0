from dbxdec import job, task


@task
def orders() -> int:
    return 3


@task
def report() -> None: ...


@job
def sales() -> None:
    found = orders()
    report().after("orders")
    found >> report
    found.after(found.uri)
