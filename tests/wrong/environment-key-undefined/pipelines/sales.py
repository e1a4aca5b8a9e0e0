from dbxdec import environment, job, native_task, task

light = environment("light", dependencies=["polars>=1"], environment_version="4")


@task(environment=light)
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
    native_task("show", spark_python_task={"python_file": "scripts/show.py"}, environment_key="lihgt")
    native_task("send", spark_python_task={"python_file": "scripts/send.py"}, environment_key="mail")
