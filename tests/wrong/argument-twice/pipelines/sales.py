from dbxdec import job, task


@task
def total(orders: int) -> int:
    return orders


@job
def sales(orders: int = 3) -> None:
    total(orders, orders=4)
