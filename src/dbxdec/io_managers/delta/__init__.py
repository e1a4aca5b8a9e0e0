"""Results as Delta tables: what both engines share, and a room for each."""
