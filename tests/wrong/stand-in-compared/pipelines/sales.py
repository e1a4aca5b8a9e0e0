import acme_lake
from dbxdec import job, task

MODE = "new" if acme_lake.STAGE == "prod" else "old"


@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
