from dbxdec import job, task


@task
def orders() -> int:
    return 3


@job
async def sales() -> None:
    orders()
