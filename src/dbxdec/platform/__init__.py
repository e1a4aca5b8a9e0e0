"""The platform's own rules, each written once. The build, local runs and tests all follow them.

    references   how a reference is written, read and resolved (docs.databricks.com, "Dynamic value references")
    texts        task values as strings, and the inputs of a for-each task ("For each")
    conditions   what a condition compares, and how ("If/else")
    run_if       when a task runs, and the state of a task that doesn't ("Configure task dependencies")
    status       the state of a run, from its tasks (the same page)
    known        the values of references in a run on this machine
    dbutils      how the platform's dbutils is found
    pythons      the Python of clusters and environments
    owned        packages that the platform brings itself

No module here knows a DAG: they take names, strings and states.
"""
