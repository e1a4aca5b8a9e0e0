from dbxdec import job, task


@task
def alarm(message: str) -> None: ...


@task
def orders() -> int:
    return 3


@job(on_failure=alarm)
def daily() -> None:
    orders()
