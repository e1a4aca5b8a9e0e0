from dbxdec import job, task


@task
def orders() -> int:
    return 3


@job(tags={"teams": {"ops", "sales"}})
def nightly() -> None:
    orders()
