"""Imports a project in a child process and brings back its DAGs."""
