"""Results as files: Parquet, CSV and NDJSON, through Polars or Spark."""
