from dbxdec import job, task


@task
def total(month: int) -> int:
    return month


@job
def sales(months: int = 3) -> None:
    for month in range(months):
        total.override(key=f"total_{month}")(month)
    total(12)
