from dbxdec import job
from shop.pipelines.common import orders


@job
def daily(n: int = 3) -> None:
    orders(n)
