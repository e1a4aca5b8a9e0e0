from dbxdec import bundle_variable, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake"), mode="overwrite")


@task(io_manager=lake)
def refresh() -> None: ...


@task(io_manager=lake)
def count(n: int) -> int:
    return n


@job
def sales(n: int = 3) -> None:
    refresh()
    count(n)
