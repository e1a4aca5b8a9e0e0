"""`dbxdec init`: adds what is missing to a project, or makes a new one.

`plan` reads the project and collects every change, `writing` shows or writes them. `tomlkit` and `ruamel.yaml` edit
pyproject.toml and databricks.yml; `edits` checks each edit, and leaves one that fails to the user.
"""
