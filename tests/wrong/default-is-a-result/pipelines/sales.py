from dbxdec import job, task


@task
def orders(n: int) -> int:
    return n


@job
def sales(n: int = 3) -> None:
    found = orders(n)

    @task
    def total(orders: int = found, n: int = n) -> int:
        return orders + n

    total()
