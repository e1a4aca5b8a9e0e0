import time

from dbxdec import job, task


def wait_for_server() -> None:
    while True:
        time.sleep(60)


wait_for_server()


@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
