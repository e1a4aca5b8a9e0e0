from dbxdec import job, task


@task
def refresh() -> None: ...


@task
def count(n: int):
    return n


@task
def report(refreshed: object, count: int) -> None: ...


@job
def sales(n: int = 3) -> None:
    report(refresh(), count(n))
