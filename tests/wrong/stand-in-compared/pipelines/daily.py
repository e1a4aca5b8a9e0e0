import acme_lake
from dbxdec import job, task

NEW = acme_lake.__version__ >= "2"


@task
def orders() -> int:
    return 3


@job
def daily() -> None:
    orders()
