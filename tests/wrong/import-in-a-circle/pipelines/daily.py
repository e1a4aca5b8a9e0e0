from dbxdec import job
from shop.pipelines.monthly import orders


@job
def daily() -> None:
    orders()
