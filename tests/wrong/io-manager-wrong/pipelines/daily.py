from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwite", schema="lax", partition_by=["a", "a"])


@task
def orders() -> int:
    return 3


@job
def daily() -> None:
    orders()
