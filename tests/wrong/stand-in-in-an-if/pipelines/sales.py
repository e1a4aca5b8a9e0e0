import acme_lake
from dbxdec import job, task

if acme_lake.STRICT:
    LIMIT = 3


@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
