from dbxdec import condition, job, native_task, task

big = condition(1, ">", 3)


@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
