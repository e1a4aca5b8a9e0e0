from dbxdec import job, task


@task
def orders(shop: int) -> int:
    return shop


@job
def sales() -> None:
    for shop in range(251):
        orders.override(key=f"orders_{shop}")(shop)
