"""Packages that the platform brings itself, as of 2026-11: another version of one breaks its Spark."""

from __future__ import annotations

PACKAGES = frozenset(
    {
        "databricks-connect",
        "dbutils",
        "delta-spark",
        "py4j",
        "pyspark",
        "pyspark-client",
        "pyspark-connect",
    }
)
