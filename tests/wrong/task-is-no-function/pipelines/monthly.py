from dbxdec import job, task


@task
def orders():
    yield 3


@job
def monthly() -> None:
    orders()
