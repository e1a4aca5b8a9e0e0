from acme_lake import traced
from dbxdec import job, task


@traced
@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
