from dbxdec import bundle_target, job, task


@task
def orders() -> int:
    return 3


@job(key=f"sales_{bundle_target()}")
def sales() -> None:
    orders.override(key=f"orders_{bundle_target()}")()
