"""What a job is: its DAG as frozen data, the values that travel, and what both are checked for."""
