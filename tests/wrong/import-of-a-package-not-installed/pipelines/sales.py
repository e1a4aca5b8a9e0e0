import acme_lake
from dbxdec import job, task


@task
def orders() -> int:
    return acme_lake.count()


@job
def sales() -> None:
    orders()
