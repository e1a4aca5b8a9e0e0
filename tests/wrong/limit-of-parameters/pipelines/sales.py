from dbxdec import job, task


@task
def orders(shops: list) -> int:
    return len(shops)


@job(name="sales " * 1000)
def sales(shops: list = [f"shop {i}" for i in range(1000)]) -> None:  # noqa: B006
    orders(shops)
