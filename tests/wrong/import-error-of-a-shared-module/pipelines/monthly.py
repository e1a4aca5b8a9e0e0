from dbxdec import job, task
from shop.helpers import DOLLAR


@task
def orders() -> float:
    return DOLLAR


@job
def monthly() -> None:
    orders()
