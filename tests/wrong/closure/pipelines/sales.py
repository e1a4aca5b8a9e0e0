from dbxdec import job, task


@task
def orders(n: int) -> int:
    return n


@job
def sales(n: int = 3) -> None:
    found = orders(n)

    @task
    def total() -> int:
        return found * n

    total()
    for country in ("DE", "FR"):

        @task
        def report() -> str:
            return country

        report.override(key=f"report_{country}")()
