from dbxdec import job, task


@task
def total(country: str) -> int:
    return len(country)


@job
def sales() -> None:
    total("DE")
    total("FR")
