from dbxdec import context, job, task

RUN = context().run_id


@task
def orders() -> int:
    return 3


@job
def daily() -> None:
    orders()
