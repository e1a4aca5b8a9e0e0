import os

from dbxdec import bundle_variable, job, task


@task
def orders(place: str) -> int:
    return len(place)


@job
def daily() -> None:
    orders(os.path.join(bundle_variable("lake"), "orders"))
