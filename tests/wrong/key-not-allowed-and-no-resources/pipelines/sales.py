from dbxdec import job, task


@task
def orders() -> int:
    return 3


@job(key="daily sales")
def sales() -> None:
    orders.override(key="orders of all shops")()
    orders.override(key="orders_" + "x" * 100)()
