from dbxdec import job, task


@task
async def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
