from dbxdec import condition, job, task


@task
def orders(country: str) -> int:
    return len(country)


@task
def report() -> None: ...


@job
def sales(country: str = "DE") -> None:
    found = orders(country)
    condition(found, "=", 3, key="equal")
    condition(country, ">", "DE", key="larger")
    condition(found, "==", [1, 2], key="one_of")
    condition(found, ">", "many", key="many")
    condition(found, ">", 3, key="big").then(report)
    condition(found, ">", 3, key="big").otherwise("report")
    report()
