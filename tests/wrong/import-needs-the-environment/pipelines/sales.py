import os

from dbxdec import job, task

STAGE = os.environ["SHOP_STAGE"]


@task
def orders() -> None: ...


@job
def sales() -> None:
    orders()
