from dbxdec import condition, job, task


@task
def orders() -> int:
    return 3


@task
def total(orders: int) -> int:
    return orders


@task
def report(total: int) -> None: ...


@job
def sales() -> None:
    found = orders()
    shown = report(total(found))
    found.after(shown)


@job
def returns() -> None:
    found = orders()
    condition(found, ">", 0).then(found)
