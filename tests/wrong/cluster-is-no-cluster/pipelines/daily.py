from dbxdec import job, task


@task(cluster="small")
def orders() -> int:
    return 3


@task(environment={"dependencies": ["polars"]})
def total(orders: int) -> int:
    return orders


@job
def daily() -> None:
    total(orders())
