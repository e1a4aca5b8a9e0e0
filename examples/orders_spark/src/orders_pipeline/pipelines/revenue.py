"""Gold: revenue by month and nation, a partition for each month, in the catalog."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from dbxdec import column, environment, job, task
from orders_pipeline.pipelines.common import gold, lake

monthly = gold.table(
    "revenue_by_month",
    mode="overwrite",
    partition_by="month",
    comment="Revenue by month and nation, in the nation's currency",
    columns={"revenue": column(comment="after discounts, before tax")},
    constraints={"revenue_is_positive": "revenue > 0"},
)
ranking = gold.table("nations", mode="overwrite", cluster_by="nation", columns={"state": column(default="'final'")})


@task(io_manager=monthly)
def revenue_by_month(orders: DataFrame, customers: DataFrame, year: int) -> DataFrame:
    """A rerun replaces the months that it has orders of, and no other."""
    rows = orders.where(F.year("day") == year).join(customers, "customer")
    month = F.trunc("day", "month").alias("month")
    return rows.groupBy(month, "nation", "currency").agg(F.sum("revenue").cast("decimal(18,2)").alias("revenue"))


@task(io_manager=ranking)
def nations(revenue: DataFrame) -> DataFrame:
    """The nations of this run by their revenue."""
    return revenue.groupBy("nation", "currency").agg(F.sum("revenue").cast("decimal(18,2)").alias("revenue"))


@task
def best(nations: DataFrame) -> str:
    """The nation with the highest revenue, a small result."""
    row = nations.orderBy(F.desc("revenue"), "nation").first()
    return str(row["nation"]) if row is not None else ""


@job(environment=environment("revenue"))
def revenue(year: int) -> None:
    """Revenue of a year, on serverless compute."""
    found = revenue_by_month(lake.table("silver/orders"), lake.table("silver/customers"), year)
    best(nations(found))
