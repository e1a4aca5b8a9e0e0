"""Finds the platform's dbutils."""

from __future__ import annotations

from typing import Any


def find_dbutils() -> Any | None:
    """Return dbutils as wheel tasks have it; None outside the platform.

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
    """Return whether `dbutils` is the SDK's own, outside the platform: there is no run, so it drops task values."""
    return type(dbutils).__module__ == "databricks.sdk.dbutils"
