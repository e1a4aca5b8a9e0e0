from dbxdec import job, task


@task(run_if="ALL_DNE")
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
