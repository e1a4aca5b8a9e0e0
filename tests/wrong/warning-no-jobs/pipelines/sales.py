from dbxdec import task


@task
def orders() -> int:
    return 3
