"""The model of a job: its DAG as frozen data, the values that tasks pass, and the checks of both."""
