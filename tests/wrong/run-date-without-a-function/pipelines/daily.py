import datetime as dt

from dbxdec import condition, job, native_task, run_date, task


@task
def work(day: dt.date) -> None: ...


@job
def daily(day: dt.date = run_date(offset_days=-1)) -> None:
    native_task("before", run_job_task={"job_id": 7, "job_parameters": {"day": day}}) >> work(day)
    condition(day, "==", dt.date(2024, 1, 1), key="new_year")
