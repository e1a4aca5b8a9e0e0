from dbxdec import job
from shop.pipelines.common import orders


@job
def monthly(n: int = 90) -> None:
    orders(n)
