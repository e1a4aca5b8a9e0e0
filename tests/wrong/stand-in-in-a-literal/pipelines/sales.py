import acme_lake
from dbxdec import job, task


@task
def orders(shops: list) -> int:
    return len(shops)


@job
def sales() -> None:
    orders([acme_lake.BERLIN])
