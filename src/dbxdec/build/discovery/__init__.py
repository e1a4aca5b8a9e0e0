"""Discovery: imports a project in a child process and returns its DAGs."""
