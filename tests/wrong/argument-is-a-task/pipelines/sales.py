from dbxdec import job, task


@task
def orders() -> int:
    return 3


@task
def total(orders: int) -> int:
    return orders


@job
def sales() -> None:
    orders()
    total(orders)
    total.override(key="later", depends_on=[orders])(3)
