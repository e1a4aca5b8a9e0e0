"""Runs a whole DAG on this machine, each task in a process, as on the platform; warm processes are used again."""
