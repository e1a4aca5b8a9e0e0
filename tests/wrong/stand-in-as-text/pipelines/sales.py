import acme_lake
from dbxdec import job, task

PATH = f"{acme_lake.ROOT}/sales"


@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
