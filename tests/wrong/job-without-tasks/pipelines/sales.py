from dbxdec import job


@job
def sales(n: int = 3) -> None: ...
