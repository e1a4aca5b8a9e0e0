"""Runs a whole DAG on this machine, each task as the process that the platform would start."""
