"""Finds the platform's dbutils."""

from __future__ import annotations

from typing import Any


def find_dbutils() -> Any | None:
    """dbutils as wheel tasks have it, None off the platform.

    A wheel task has no notebook globals: classic compute makes it from the session, serverless from the SDK.
    """
    try:
        from pyspark.dbutils import DBUtils
        from pyspark.sql import SparkSession

        return DBUtils(SparkSession.builder.getOrCreate())
    except ImportError:
        pass
    try:
        from databricks.sdk.runtime import dbutils
    except (ImportError, ValueError):  # the SDK elsewhere, without credentials
        return None
    return dbutils


def is_remote(dbutils: Any) -> bool:
    """Whether it is what the SDK has off the platform, whose task values are of no run: it drops them in silence."""
    return type(dbutils).__module__ == "databricks.sdk.dbutils"
