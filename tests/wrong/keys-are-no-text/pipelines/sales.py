from dbxdec import condition, job, native_task, task


@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders.override(key=3)()
    orders.override(key="")()
    native_task(5, notebook_task={"notebook_path": "show"})
    condition(1, ">", 3, key=orders)
