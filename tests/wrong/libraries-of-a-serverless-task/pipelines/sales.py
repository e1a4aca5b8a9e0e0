from dbxdec import job, task


@task(libraries=[{"pypi": {"package": "requests"}}])
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
