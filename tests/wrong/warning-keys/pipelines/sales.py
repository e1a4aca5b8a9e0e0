import datetime as dt
from typing import Literal

from dbxdec import daily, job, key, task


@task
def show(day: dt.date, region: str) -> None:
    print(day, region)


@job(schedule={"quartz_cron_expression": "0 0 5 * * ?", "timezone_id": "UTC"})
def nightly(day: dt.date = daily(), region: Literal["eu", "us", "de"] = key("eu")) -> None:
    show(day, region)
