from dbxdec import condition, job, task


@task
def orders(n: int) -> int:
    return n


@task
def details(orders: int) -> int:
    return orders


@task
def report(orders: int, details: int) -> None: ...


@job
def sales(n: int = 3) -> None:
    found = orders(n)
    detailed = details(found)
    condition(found, ">", 100).then(detailed)
    report(found, detailed)
