from dbxdec import job, secret
from shop.pipelines.sales import sales


@job
def monthly() -> None:
    sales(secret("shop", "password"))
