"""The number of orders of each customer: a count that goes on with the orders that have landed since it last ran."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dbxdec import DeltaMerge, job, task
from orders_pipeline.pipelines.common import lake
from orders_pipeline.pipelines.ingest import bronze_orders, cluster


@task(io_manager=lake.table("gold/orders_by_customer"))
def orders_by_customer(landed: DataFrame) -> DeltaMerge:
    """Adds new orders to the counts. No order is counted twice: the merge's commit says which ones it has."""
    counts = landed.groupBy(F.col("o_custkey").alias("customer")).agg(
        F.count("*").alias("orders"), F.max("o_orderdate").alias("last_order")
    )
    added = {
        "orders": "target.orders + source.orders",
        "last_order": "greatest(target.last_order, source.last_order)",
    }
    return DeltaMerge(counts, on="customer").when_matched_update(added).when_not_matched_insert_all()


@job(cluster=cluster)
def tally() -> None:
    """The orders that are new in bronze, whenever it runs and whatever has landed until then."""
    orders_by_customer(bronze_orders.changes())
