from dbxdec import job, job_cluster, task

small = job_cluster("small", spark_version="${spark}", node_type_id="m5d.large", num_workers=1)


@task(description="of ${country}")
def orders() -> int:
    return 3


@job(cluster=small, tags={"team": "${team}", "target": "${bundle.target}"})
def sales() -> None:
    orders()
