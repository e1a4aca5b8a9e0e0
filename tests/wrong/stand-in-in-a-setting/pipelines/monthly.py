import acme_lake
from dbxdec import job, job_cluster, task

small = job_cluster("small", spark_version=acme_lake.SPARK)


@task
def orders() -> int:
    return 3


@job(cluster=small)
def monthly() -> None:
    orders()
