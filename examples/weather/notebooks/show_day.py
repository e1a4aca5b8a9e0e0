# Databricks notebook source
# ruff: noqa: F821 - Databricks defines dbutils, spark and display
table, day = dbutils.widgets.get("table"), dbutils.widgets.get("day")

# COMMAND ----------

display(spark.read.format("delta").load(table).where(f"day = '{day[:10]}'"))
