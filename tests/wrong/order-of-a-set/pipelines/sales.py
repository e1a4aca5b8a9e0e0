import polars as pl
from dbxdec import each, job, task
from dbxdec.io_managers import PolarsDeltaIoManager

COUNTRIES = {"de", "fr", "it", "es", "pt", "nl"}
lake = PolarsDeltaIoManager("lake", mode="append")


@task(io_manager=lake)
def orders(country: str) -> pl.DataFrame: ...


@task
def report(countries: list[str]) -> None: ...


@job
def sales() -> None:
    orders(each(list(COUNTRIES)))
    orders.override(key="again")(each(sorted(COUNTRIES)))
    report([country.upper() for country in COUNTRIES])
