from dbxdec import job, job_cluster, task

small = job_cluster(
    "small",
    spark_version="16.4.x-scala2.12",
    node_type_id="m5d.large",
    num_workers=1,
    autoscale={"min_workers": 1, "max_workers": 2},
)


@task(max_retris=2)
def orders() -> int:
    return 3


@task(libraries=[{"pypi": {"package": "rich==13.0"}}, {"pypi": {"package": "rich==14.0"}}])
def report(orders: int) -> None: ...


@job(cluster=small, max_concurrent_run=1)
def sales() -> None:
    report(orders())
    report.override(key="again")(order=orders.override(key="more")())
