"""Bronze and silver: what has landed for a month, and the newest state of orders and customers."""

from __future__ import annotations

import datetime as dt

from delta.tables import DeltaMergeBuilder, DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from dbxdec import DeltaMerge, job, job_cluster, run_date, task
from orders_pipeline.money import currency_of
from orders_pipeline.pipelines.common import lake, landing

cluster = job_cluster(
    "ingest",
    spark_version="16.4.x-scala2.13",
    node_type_id="i3.xlarge",
    num_workers=2,
    data_security_mode="SINGLE_USER",
)
# What has landed is added once, whatever is retried.
bronze_orders = lake.table("bronze/orders", mode="append", comment="As it has landed")
bronze_lines = lake.table("bronze/lineitem", mode="append", comment="As it has landed")


def of_month(rows: DataFrame, column: str, month: dt.date) -> DataFrame:
    """The rows of the calendar month of a day."""
    return rows.where(F.trunc(column, "month") == F.lit(month.replace(day=1)))


@task(io_manager=bronze_orders)
def orders_landed(spark: SparkSession, folder: str, month: dt.date) -> DataFrame:
    """The orders of one month."""
    return of_month(spark.read.parquet(f"{folder}/orders.parquet"), "o_orderdate", month)


@task(io_manager=bronze_lines)
def lines_landed(spark: SparkSession, folder: str, orders: DataFrame) -> DataFrame:
    """The lines of the orders of this run."""
    lines = spark.read.parquet(f"{folder}/lineitem.parquet")
    return lines.join(orders.select(F.col("o_orderkey").alias("l_orderkey")), "l_orderkey", "left_semi")


@task(io_manager=lake.table("silver/customers"))
def customers(spark: SparkSession, folder: str) -> DeltaMerge:
    """The newest state of each customer: one merge, exactly once, also where there is no table yet."""
    nations = spark.read.parquet(f"{folder}/nation.parquet").select("n_nationkey", "n_name")
    found = spark.read.parquet(f"{folder}/customer.parquet").join(nations, F.col("c_nationkey") == F.col("n_nationkey"))
    currencies = spark.createDataFrame(
        [(row["n_name"], currency_of(row["n_name"])) for row in nations.collect()], "nation string, currency string"
    )
    columns = ["c_custkey AS customer", "c_name AS name", "nation", "currency"]
    return DeltaMerge(
        found.join(currencies, found["n_name"] == currencies["nation"]).selectExpr(*columns), on="customer"
    )


@task(io_manager=lake.table("silver/orders"))
def orders(orders: DataFrame, lines: DataFrame) -> DeltaMergeBuilder:
    """One row for each order, by a merge that the task builds with Delta's own API and returns unexecuted."""
    totals = lines.groupBy("l_orderkey").agg(
        F.sum(F.col("l_extendedprice") * (1 - F.col("l_discount"))).cast("decimal(18,2)").alias("revenue")
    )
    rows = orders.join(totals, orders["o_orderkey"] == totals["l_orderkey"]).select(
        F.col("o_orderkey").alias("order"),
        F.col("o_custkey").alias("customer"),
        F.col("o_orderdate").alias("day"),
        "revenue",
    )
    place = lake.uri("silver/orders")
    if not DeltaTable.isDeltaTable(rows.sparkSession, place):
        rows.limit(0).write.format("delta").mode("ignore").save(place)
    silver: DeltaTable = lake.delta_table("silver/orders")
    merge = silver.alias("t").merge(rows.alias("s"), "t.`order` = s.`order`")
    return merge.whenMatchedUpdateAll().whenNotMatchedInsertAll()


@job(
    cluster=cluster,
    schedule={"quartz_cron_expression": "0 0 4 2 * ?", "timezone_id": "UTC"},
)
def ingest(month: dt.date = run_date(offset_days=-31)) -> None:
    """The data that has landed for a month becomes bronze, and silver merges it."""
    landed = orders_landed(landing, month)
    orders(landed, lines_landed(landing, landed))
    customers(landing)
