from dbxdec import job, task


@task
def orders() -> None: ...


@job(schedule={"quartz_cron_expression": "30 5 * * *", "timezone_id": "UTC"})
def sales() -> None:
    orders()


@job(schedule={"quartz_cron_expression": "0 30 5 * * *", "timezone_id": "UTC"})
def returns() -> None:
    orders()
