import sys

from dbxdec import job, task

if len(sys.argv) < 5:
    print("usage: sales.py DAY", file=sys.stderr)
    sys.exit(2)


@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
