"""Builds the wheel and the job definitions of a project."""
