from dbxdec import condition, job, native_task, task


@task(max_retries=3)
def alarm() -> None: ...


@task
def orders() -> int:
    return 1


@job
def sales(full: bool = False) -> None:
    found = orders()
    rest = native_task("rest", sql_task={"warehouse_id": "w", "file": {"path": "/x.sql"}}, depends_on=[found])
    native_task("cleanup", sql_task={"warehouse_id": "w", "file": {"path": "/y.sql"}}, run_if="ALL_DONE").after(rest)


@job(on_failure=alarm)
def guarded(full: bool = False) -> None:
    given = {"rows": "{{tasks.order-count.values.return_value}}", "full": "{{job.parameters.ful}}"}
    reload = native_task("reload", run_job_task={"job_id": 7, "job_parameters": given})
    condition(full, "==", True).then(reload)
