"""The writer that stores a table's files itself, in one streaming pass, and commits them through delta-rs."""
