import json

from dbxdec import job, task


@task
def orders(options: str) -> int:
    return len(options)


@job
def sales() -> None:
    orders(json.dumps({"shops": {"Berlin"}}))
