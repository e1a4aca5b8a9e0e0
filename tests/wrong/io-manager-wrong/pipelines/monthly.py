from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")
gold = lake.table("gold", partitoned_by="day")


@task
def orders() -> int:
    return 3


@job
def monthly() -> None:
    orders()
