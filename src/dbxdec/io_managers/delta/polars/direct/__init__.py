"""The writer that stores the files of a table itself, in one streaming pass, and commits them through delta-rs."""
