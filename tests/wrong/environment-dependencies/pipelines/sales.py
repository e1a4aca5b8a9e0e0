from dbxdec import environment, job, task

light = environment(
    "light",
    dependencies=[
        "polars>=1; python_version > '3.10'",
        "ruamel.yaml==0.18.6",
        "requests!=2.31.*",
        "requirements.txt",
        "acme lake",
        "file:///Workspace/libs/acme.whl",
        "",
    ],
)


@task(environment=light)
def orders() -> int:
    return 3


@job
def sales() -> None:
    orders()
