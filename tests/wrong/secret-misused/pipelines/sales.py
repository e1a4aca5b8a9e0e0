from dbxdec import job, task


@task
def orders(password: str) -> int:
    return len(password)


@job
def sales(password: str = "") -> None:
    orders(password)
