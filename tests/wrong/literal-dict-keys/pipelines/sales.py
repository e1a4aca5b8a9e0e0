from dbxdec import job, task


@task
def orders(n: int) -> int:
    return n


@task
def report(found: dict) -> None: ...


@job
def sales(n: int = 3) -> None:
    found = orders(n)
    report({found: 1})
    report.override(key="b")({n: found})
    report.override(key="c")({found})
    report.override(key="d")({3: found})
    report.override(key="e")([found, {1}])
