from dbxdec import condition, job, task


@task
def details() -> int:
    return 1


@task
def alarm() -> int:
    return 1


@task
def orders(n: int) -> int:
    return n


@task
def report(orders: int, details: int) -> None: ...


@task
def clean_up(orders: int, alarm: int | None) -> None: ...


@task
def inform(alarm: int) -> None: ...


@job
def sales(n: int = 3) -> None:
    found, detailed = orders(n), details()
    condition(n, ">", 100).then(detailed)
    report(found, detailed)
    raised = alarm.override(run_if="AT_LEAST_ONE_FAILED", depends_on=[found])()
    clean_up.override(run_if="ALL_DONE")(found, raised)
    inform(raised).after(found)
