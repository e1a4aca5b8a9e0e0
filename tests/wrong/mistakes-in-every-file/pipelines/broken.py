from dbxdec import job, task


@job
def broken(:
    ...
