from dbxdec import job, task
from shop.lib import DOLLAR


@task
def orders() -> float:
    return DOLLAR


@job
def sales() -> None:
    orders()
