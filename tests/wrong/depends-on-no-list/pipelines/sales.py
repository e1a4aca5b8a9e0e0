from dbxdec import job, native_task, task


@task
def orders() -> int:
    return 3


@task
def report() -> None: ...


@job
def sales() -> None:
    found = orders()
    report.override(depends_on=found)()
    native_task("show", notebook_task={"notebook_path": "show"}, depends_on="orders")
