import acme_lake
from dbxdec import job, task


@task(max_retries=acme_lake.RETRIES)
def orders() -> int:
    return 3


@job
def daily() -> None:
    orders()
