import polars as pl

from dbxdec import job, task
from dbxdec.io_managers import PolarsDeltaIoManager, SparkTableIoManager

lake = PolarsDeltaIoManager("/lake")
catalog = SparkTableIoManager("main.gold")


@job
def outside() -> None:
    @task(io_manager=lake.table("../../../outside/t"))
    def orders() -> pl.DataFrame:
        return pl.DataFrame({"x": [1]})

    orders()


@job
def absolute() -> None:
    @task
    def show(orders: pl.DataFrame) -> None:
        print(orders)

    show(lake.table("/gold//{job}"))


@job
def quoted() -> None:
    @task
    def show(orders: object) -> None:
        print(orders)

    show(catalog.table("`gold`/orders"))
