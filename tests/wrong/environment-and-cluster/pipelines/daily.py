from dbxdec import environment, job, job_cluster, task

small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)
light = environment("light")


@task(cluster=small, environment=light)
def orders() -> int:
    return 3


@job
def daily() -> None:
    orders()
