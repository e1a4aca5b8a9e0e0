from dbxdec import job, task


@job
def sales(n: int = 3) -> None:
    @task
    def orders(n: int) -> int:
        return n

    @task
    def total(orders: int) -> int:
        return orders

    orders(n)
