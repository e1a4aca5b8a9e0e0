"""Names of tables in Unity Catalog: catalog, schema and table."""

from __future__ import annotations

OTHER_CATALOGS = frozenset({"hive_metastore", "spark_catalog"})
"""Catalogs that are not Unity Catalog's: the workspace's old metastore, and open source Spark's own."""
