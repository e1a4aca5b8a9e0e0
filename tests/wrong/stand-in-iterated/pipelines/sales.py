from acme_lake import SHOPS
from dbxdec import job, task

NAMES = [shop.name for shop in SHOPS]


@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
