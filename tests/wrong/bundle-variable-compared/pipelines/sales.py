from dbxdec import bundle_target, bundle_variable, job, task


@task
def orders(lake: str) -> int:
    return len(lake)


@job
def sales() -> None:
    if bundle_target() == "prod":
        orders("/prod")
    elif bundle_variable("lake") in ("a", "b"):
        orders("/dev")
    orders.override(key="again")("/dev")
