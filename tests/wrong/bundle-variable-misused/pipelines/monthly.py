from dbxdec import bundle_variable, job, task

LAKE = bundle_variable("lake root")


@task
def orders() -> int:
    return 3


@job
def monthly() -> None:
    orders()
