from dbxdec import job, job_cluster, task


@task(email_notifications={})
def orders() -> int:
    return 3


@job(cluster=job_cluster("small"), continuous={}, schedule={"sql_condition": {}})
def sales() -> None:
    orders()
