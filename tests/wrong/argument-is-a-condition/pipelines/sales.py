from dbxdec import condition, job, native_task, task


@task
def total(orders: int) -> int:
    return orders


@job
def sales(orders: int = 3) -> None:
    big = condition(orders, ">", 100)
    shown = native_task("show", notebook_task={"notebook_path": "notebooks/show.ipynb"})
    total(big)
    total.override(key="second")(shown)
    total.override(key="third")(shown.state)
