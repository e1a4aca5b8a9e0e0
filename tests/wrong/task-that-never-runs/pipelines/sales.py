from dbxdec import condition, job, task


@task
def orders(n: int) -> int:
    return n


@task
def report(orders: int) -> None: ...


@task(run_if="ALL_FAILED")
def alarm() -> None: ...


@job
def sales(n: int = 3) -> None:
    found = orders(n)
    shown = report(found)
    condition(found, ">", 100).then(shown).otherwise(shown)
    alarm()
