"""Local paths in a job definition: the one place that knows which fields hold one, and rewrites them all.

Definitions are made with paths relative to the project's root. A bundle reads those of an included file relative to
that file, and those of its Python resources relative to the bundle's root.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from dbxdec.codegen.environments import local_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Rewrite = Callable[[str], str]

# As in the bundle's CLI: bundle/config/mutator/paths.
_TASK_PATHS = (
    ("notebook_task", "notebook_path"),
    ("spark_python_task", "python_file"),
    ("dbt_task", "project_directory"),
)
_LIBRARY_PATHS = ("whl", "jar", "egg", "requirements")
_ELSEWHERE = re.compile(r"[/~]|[\w+.-]+:|.*\$\{|.*\{\{", re.DOTALL)


def relocate(definition: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """`definition` with each local path, relative to the project's root, as seen from where `prefix` leads to it.

    `prefix` is the project's root, relative to that place: `..` for a file in a folder of the project. Absolute
    paths, those with a scheme or a reference, and those of a git source stay.
    """

    def rewrite(path: str) -> str:
        return path if _ELSEWHERE.match(path) else posixpath.normpath(posixpath.join(prefix, path))

    form = dict(definition)
    if "tasks" in form:
        form["tasks"] = [_task(task, rewrite) for task in form["tasks"]]
    if "environments" in form:
        form["environments"] = [_environment(environment, rewrite) for environment in form["environments"]]
    return form


def _task(task: Mapping[str, Any], rewrite: Rewrite) -> dict[str, Any]:
    form = dict(task)
    for kind, name in _TASK_PATHS:
        if kind in form:
            form[kind] = _field(form[kind], name, rewrite)
    match form.get("sql_task"):
        case {"file": file, **others}:
            form["sql_task"] = {**form["sql_task"], **others, "file": _field(file, "path", rewrite)}
    if "libraries" in form:
        form["libraries"] = [_library(library, rewrite) for library in form["libraries"]]
    match form.get("for_each_task"):
        case {"task": inner}:
            form["for_each_task"] = {**form["for_each_task"], "task": _task(inner, rewrite)}
    return form


def _field(form: Mapping[str, Any], name: str, rewrite: Rewrite) -> dict[str, Any]:
    """`form` with its path `name` rewritten."""
    if isinstance(form.get(name), str) and form.get("source") != "GIT":
        return {**form, name: rewrite(form[name])}
    return dict(form)


def _library(library: Mapping[str, Any], rewrite: Rewrite) -> dict[str, Any]:
    return {name: rewrite(value) if name in _LIBRARY_PATHS else value for name, value in library.items()}


def _environment(environment: Mapping[str, Any], rewrite: Rewrite) -> dict[str, Any]:
    spec = dict(environment.get("spec", {}))
    if "dependencies" in spec:
        spec["dependencies"] = [_dependency(text, rewrite) for text in spec["dependencies"]]
    if "java_dependencies" in spec:
        spec["java_dependencies"] = [rewrite(text) for text in spec["java_dependencies"]]
    return {**environment, "spec": spec}


def _dependency(text: str, rewrite: Rewrite) -> str:
    """A requirement stays; a file, or a file of requirements, is a path."""
    file = local_file(text)
    return text if file is None else file[0] + rewrite(file[1])
