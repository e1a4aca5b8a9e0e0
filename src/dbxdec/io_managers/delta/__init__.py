"""Results as Delta tables: the part that both engines share, and a subpackage for each engine."""
