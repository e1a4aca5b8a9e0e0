from dbxdec import job, task


@task
def orders() -> int:
    return 3


@job(cluster={"spark_version": "16.4.x-scala2.12", "node_type_id": "m5d.large", "num_workers": 1})
def sales() -> None:
    orders()


@job(environment="light")
def light() -> None:
    orders()
