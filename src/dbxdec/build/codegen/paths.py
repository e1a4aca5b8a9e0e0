"""Local paths in a job definition: the one module that knows which fields hold one, and rewrites them all.

Definitions are made with paths relative to the project's root. A bundle resolves the paths of an included file relative
to that file, and the paths of its Python resources relative to the bundle's root.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from dbxdec.build.codegen.environments import local_file
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Rewrite = Callable[[str], str]
    Pattern = tuple[str, ...]

_EACH = "[]"
# As in the bundle's CLI: databricks/cli, bundle/config/mutator/paths/job_paths_visitor.go and
# job_libraries_paths_visitor.go.
_TASK_PATHS: tuple[Pattern, ...] = (
    ("notebook_task", "notebook_path"),
    ("spark_python_task", "python_file"),
    ("dbt_task", "project_directory"),
    ("sql_task", "file", "path"),
    ("alert_task", "workspace_path"),
    ("ai_runtime_task", "deployments", _EACH, "command_path"),
    ("libraries", _EACH, "whl"),
    ("libraries", _EACH, "jar"),
    ("libraries", _EACH, "requirements"),
)
_DEPENDENCY: Pattern = ("environments", _EACH, "spec", "dependencies", _EACH)
# The CLI resolves it from the bundle's root, wherever it is written (bundle/config/mutator/aicode).
_CODE_SOURCE: Pattern = ("ai_runtime_task", "code_source_path")
# Fields for paths in the workspace: the CLI neither uploads such a file nor rewrites its path.
_NOT_UPLOADED: tuple[Pattern, ...] = (
    ("libraries", _EACH, "egg"),
    ("spark_jar_task", "jar_uri"),
    ("gen_ai_compute_task", "training_script_path"),
    ("gen_ai_compute_task", "yaml_parameters_file_path"),
)
_NOT_UPLOADED_OF_JOB: tuple[Pattern, ...] = (
    ("environments", _EACH, "spec", "java_dependencies", _EACH),
    ("environments", _EACH, "spec", "project_environment"),
    ("environment_variables", _EACH, "spec", "files", _EACH),
)
# The kind of a local path, by the last part of its pattern; others are files.
_KINDS = {
    "notebook_path": "notebook",
    "project_directory": "folder",
    "whl": "library",
    "jar": "library",
    "command_path": "anything",
    "workspace_path": "anything",
}
_ELSEWHERE = re.compile(r"[/~]|[\w+.-]+:|.*\$\{|.*\{\{", re.DOTALL)


def relocate(definition: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return `definition` with each local path, relative to the project's root, rewritten by `prefix`.

    `prefix` is the project's root relative to the new place: `..` for a file in a folder of the project. Absolute
    paths, paths with a scheme or a reference, and paths in a git source stay.
    """

    def rewrite(path: str) -> str:
        return posixpath.normpath(posixpath.join(prefix, path)) if is_local(path) else path

    def dependency(text: str) -> str:
        """Rewrite a file, or a file of requirements; a requirement stays."""
        file = local_file(text)
        return text if file is None else file[0] + rewrite(file[1])

    # If the path to the project leads up, the place is not a bundle's root.
    patterns = _TASK_PATHS if prefix.startswith("..") else (*_TASK_PATHS, _CODE_SOURCE)
    form = dict(definition)
    if isinstance(form.get("tasks"), list):
        form["tasks"] = [_task(task, patterns, rewrite) for task in form["tasks"]]
    return _at(form, _DEPENDENCY, dependency)  # type: ignore[no-any-return]


def is_local(path: str) -> bool:
    """Return whether `path` is a file or folder of the project: not absolute, without a scheme or a reference."""
    return _ELSEWHERE.match(path) is None


@dataclass(frozen=True)
class LocalPath:
    """A path of the project in a job definition: the kind of file it must be, and the field that has it.

    Kinds are "notebook", "file", "folder", "library", which may be a pattern, and "anything".
    """

    kind: str
    field: str
    path: str


def local_paths(definition: Mapping[str, Any]) -> Iterator[LocalPath]:
    """Yield each path of the project in `definition`, which is a job without its tasks, or a task."""
    for pattern in (*_TASK_PATHS, *(("for_each_task", "task", *p) for p in _TASK_PATHS)):
        kind = _KINDS.get(pattern[-1], "file")
        if not _is_of_git(definition, pattern):
            yield from (LocalPath(kind, f, path) for f, path in _found(definition, pattern, "") if is_local(path))
    for field, text in _found(definition, _DEPENDENCY, ""):
        file = local_file(text)
        if file is not None and is_local(file[1]):
            path = file[1].partition("[")[0] if not file[0] else file[1]
            yield LocalPath("file" if file[0] else "library", field, path)


def _is_of_git(definition: Mapping[str, Any], pattern: Pattern) -> bool:
    """Return whether the path at `pattern` is in a git source."""
    place: Any = definition
    for part in pattern[:-1]:
        place = place.get(part) if isinstance(place, dict) else None
        if isinstance(place, dict) and place.get("source") == "GIT":
            return True
    return False


def not_uploaded(definition: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (field, path) of each local path in `definition`, a job or a task, that no deploy would upload."""
    for pattern in (*_NOT_UPLOADED, *_NOT_UPLOADED_OF_JOB, *(("for_each_task", "task", *p) for p in _NOT_UPLOADED)):
        yield from ((field, path) for field, path in _found(definition, pattern, "") if is_local(path))


def _found(value: Any, pattern: Pattern, path: str) -> Iterator[tuple[str, str]]:
    """Yield (path, string) of each string at `pattern`."""
    if not pattern:
        if isinstance(value, str):
            yield path, value
    elif pattern[0] == _EACH:
        for i, item in enumerate(value if isinstance(value, list) else []):
            yield from _found(item, pattern[1:], f"{path}[{i}]")
    elif isinstance(value, dict) and pattern[0] in value:
        yield from _found(value[pattern[0]], pattern[1:], f"{path}.{pattern[0]}".lstrip("."))


def _task(task: Any, patterns: tuple[Pattern, ...], rewrite: Rewrite) -> Any:
    for pattern in patterns:
        task = _at(task, pattern, rewrite)
    match task:
        case {"for_each_task": {"task": inner} as repeated}:
            return {**task, "for_each_task": {**repeated, "task": _task(inner, patterns, rewrite)}}
    return task


def _at(value: Any, pattern: Pattern, rewrite: Rewrite) -> Any:
    """Return `value` with the strings at `pattern` rewritten. A value of another shape, such as a reference, stays."""
    if not pattern:
        return rewrite(value) if isinstance(value, str) else value
    name, rest = pattern[0], pattern[1:]
    if name == _EACH:
        return [_at(item, rest, rewrite) for item in value] if isinstance(value, list) else value
    if not isinstance(value, dict) or name not in value or value.get("source") == "GIT":
        return value
    return {**value, name: _at(value[name], rest, rewrite)}
