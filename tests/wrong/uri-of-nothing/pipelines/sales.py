from dbxdec import job, native_task, task


@task
def orders() -> int:
    return 3


@task
def report(place: str) -> None: ...


@job
def sales() -> None:
    found = orders()
    report(found.uri)
    native_task("show", notebook_task={"notebook_path": "show", "base_parameters": {"place": found.uri}})
