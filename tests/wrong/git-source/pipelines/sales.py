from dbxdec import job, task


@task
def orders() -> int:
    return 3


@job(git_source={"git_url": "https://github.com/shop/sales", "git_provider": "gitHub", "git_branch": "main"})
def sales() -> None:
    orders()
