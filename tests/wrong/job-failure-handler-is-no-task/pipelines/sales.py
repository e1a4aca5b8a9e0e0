from dbxdec import job, task


@task
def alarm() -> None: ...


@task
def orders() -> int:
    return 3


@job(on_failure=alarm.fn)
def sales() -> None:
    orders()
