from dbxdec import job, task


@task
def orders(shop: int) -> int:
    return shop


@job
def sales() -> None:
    for shop in range(1001):
        orders.override(key=f"orders_{shop}")(shop)
