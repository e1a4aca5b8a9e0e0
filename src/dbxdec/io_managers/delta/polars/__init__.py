"""Delta tables through Polars and delta-rs."""
