from dbxdec import job, task


@task
def orders(day: str) -> int:
    return len(day)


@task
def report(title: str) -> None: ...


@job
def sales(day: str = "2013-01-01") -> None:
    report(f"{orders(day)} orders on {day}")
