from acme_lake import Reader
from dbxdec import job, task


class ShopReader(Reader):
    name = "shop"


reader = ShopReader("Berlin")


@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
