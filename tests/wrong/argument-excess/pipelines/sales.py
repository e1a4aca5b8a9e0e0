from dbxdec import job, task


@task
def total(orders: int) -> int:
    return orders


@task
def ping() -> None: ...


@job
def sales(orders: int = 3) -> None:
    total(orders, "EUR", 2)
    ping(orders)
