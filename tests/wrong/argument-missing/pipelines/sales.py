from dbxdec import job, task


@task
def total(orders: int, currency: str, *, rounded: bool) -> int:
    return round(orders * len(currency), int(rounded))


@job
def sales(orders: int = 3) -> None:
    total(orders)
