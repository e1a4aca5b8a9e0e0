from dbxdec import job, task


@task
def orders() -> int:
    return 3


@job(tags={f"team_{i}": "sales" for i in range(26)})
def sales() -> None:
    orders()
