from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"))
COUNTRIES = lake.table("countries").read()


@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
