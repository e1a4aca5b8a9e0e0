"""Delta tables through Spark, classic and Connect, at a path and in a catalog."""
