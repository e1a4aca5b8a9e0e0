import acme_lake
from dbxdec import job, task


@task
def orders() -> int:
    return 3


@job(tags={"team": acme_lake.TEAM})
def sales() -> None:
    orders()
