from dbxdec import job, native_task, task

shown = native_task("show", notebook_task={"notebook_path": "notebooks/show.ipynb"})


@task
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
