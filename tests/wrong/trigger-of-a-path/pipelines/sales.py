import datetime as dt

from dbxdec import bundle_variable, job, on_update, task
from dbxdec.io_managers import PolarsDeltaIoManager, SparkTableIoManager

lake = PolarsDeltaIoManager(base_path=bundle_variable("lake_root"), mode="overwrite")
silver = SparkTableIoManager("silver", mode="overwrite")


@task
def summary() -> None: ...


@job(trigger=on_update(lake.table("orders"), min_interval=dt.timedelta(minutes=10)))
def sales() -> None:
    summary()


@job(
    trigger=on_update(
        silver.table("orders"),
        min_interval=dt.timedelta(seconds=30),
    )
)
def prices() -> None:
    summary()
