from dbxdec import job, task

RATES = {"EUR": 1.0}


@task
def orders() -> float:
    return RATES["EUR"]


@job
def monthly(rate: float = RATES["USD"]) -> None:
    orders()
