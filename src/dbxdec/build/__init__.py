"""From a project to its wheel and its job definitions."""
