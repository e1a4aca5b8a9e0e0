from dbxdec import job
from shop.pipelines.bad import total


@job
def worse() -> None:
    total(3, 4)
