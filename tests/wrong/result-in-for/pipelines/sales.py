from dbxdec import job, task


@task
def countries() -> list:
    return ["DE", "FR"]


@task
def total(country: str) -> int:
    return len(country)


@job
def sales(years: list = [2013, 2014]) -> None:  # noqa: B006
    for country in countries():
        total(country)
    for year in years:
        total.override(key=f"total_{year}")("DE")
    total("ES")
