from dbxdec import condition, job, task


@task
def count():
    return 3


@task
def report(n: int):
    print(n)


@job
def monthly(rows: int):
    report(rows)


@job
def daily():
    rows = count()
    condition(rows, "==", 3).then(report(rows))
    condition(rows, ">", 3, key="many")
    monthly(rows=rows)
