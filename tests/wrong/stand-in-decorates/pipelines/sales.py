from acme_lake import retry
from dbxdec import job, task


@retry(times=3)
def fetch() -> int:
    return 3


@task
def orders() -> int:
    return fetch()


@job
def sales() -> None:
    orders()
