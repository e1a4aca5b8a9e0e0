from dbxdec import job, task

SHOPS = {"DE": "Berlin"}


@task
def orders(shop: str) -> int:
    return len(shop)


@job
def sales() -> None:
    orders(SHOPS["DE"])
    orders.override(key="french")(SHOPS["FR"])
