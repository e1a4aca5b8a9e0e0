from dbxdec import job, task
from shop.helper import N


@task
def orders() -> int:
    return N


@job
def sales() -> None:
    orders()
