from dbxdec import each, job, task


@task
def refresh() -> None: ...


@task
def count(n: int):
    return n


@task
def each_count(n: int):
    return n


@task
def report(refreshed: object, count: int, counts: list[int]) -> None: ...


@job
def sales(n: int = 3) -> None:
    report(refresh(), count(n), each_count(each([1, 2])))
