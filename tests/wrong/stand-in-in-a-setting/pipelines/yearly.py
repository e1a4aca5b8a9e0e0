import acme_lake
from dbxdec import job, task


@task(io_manager=acme_lake.SHELF)
def orders() -> int:
    return 3


@job(key=acme_lake.NAME)
def yearly() -> None:
    orders()
