from dbxdec import job, task
from shop.pipelines.daily import daily


@task
def orders() -> int:
    return 3


@job
def monthly() -> None:
    orders()
    daily()
