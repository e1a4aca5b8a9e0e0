"""The platform's own rules, each once: what is emitted, a run on this machine and a test all go by them.

    references   how a reference is spelled, read and resolved (docs.databricks.com, "Dynamic value references")
    texts        the string that stands for a task value, and the inputs of a for-each task ("For each")
    conditions   what a condition compares, and how ("If/else")
    run_if       when a task runs, and how one ends that doesn't ("Configure task dependencies")
    status       how a run has ended, from its tasks (the same page)

No module here knows a DAG: they take names, strings and states.
"""
