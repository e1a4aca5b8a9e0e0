from dbxdec import job, task


@task
def total(orders: int, currency: str) -> int:
    return orders * len(currency)


@job
def sales(orders: int = 3) -> None:
    total(orders, curency="EUR")
