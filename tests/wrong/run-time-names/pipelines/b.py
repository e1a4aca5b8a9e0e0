from dbxdec import job, params, task


@task
def orders(day: str) -> int:
    return len(day)


@job
def sales(day: str = "2013-01-01") -> None:
    orders(params.day)
