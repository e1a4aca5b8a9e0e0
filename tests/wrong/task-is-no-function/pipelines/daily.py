from dbxdec import job, task


@task
class Orders:
    pass


@job
def daily() -> None:
    Orders()
