from pathlib import Path

from dbxdec import bundle_variable, job, task

ROOT = Path(bundle_variable("lake"))


@task
def orders() -> int:
    return 3


@job
def daily() -> None:
    orders()
