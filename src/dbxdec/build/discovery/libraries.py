"""Libraries that tasks need for the frames that their annotations ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem
from dbxdec.model import dag
from dbxdec.model.typehints import CONNECTION, given_by_runs, of_parameter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.authoring.jobs import BuiltJob
    from dbxdec.model.typehints import Annotation

_OF_CONNECTIONS = ("duckdb", "pyarrow")


def needed(built: BuiltJob) -> Iterator[tuple[str, Problem]]:
    """Yield each library that a task of a job needs, with what to say where nothing brings it."""
    for task in built.dag.tasks:
        if task.key not in built.tasks:
            continue
        for note, manager in _notes(built, task):
            for name in dict.fromkeys([*note.type_names, *note.element().type_names]):
                for library in manager.needs.get(name, ()):
                    yield library, _problem(task, note.text, library)
        for name, kind in given_by_runs(built.tasks[task.key].fn).items():
            note_ = of_parameter(built.tasks[task.key].fn, name)
            for library in _OF_CONNECTIONS if kind == CONNECTION else ():
                yield library, _problem(task, note_.text if note_ else kind, library)


def _notes(built: BuiltJob, task: dag.Task) -> Iterator[tuple[Annotation, Any]]:
    """Yield the annotations of the frames that a task reads and returns, with the managers that make and store them."""
    function = built.tasks[task.key].fn
    for parameter, binding in task.inputs.items():
        note = of_parameter(function, parameter)
        for leaf in dag.flatten(binding) if note is not None and not note.error else ():
            manager: Any = None
            if isinstance(leaf, dag.Table):
                manager = built.tables.get(leaf.target)
            elif isinstance(leaf, dag.TaskOutput):
                manager = built.managers.get((leaf.task, leaf.output))
            if note is not None and manager is not None:
                yield note, manager
    returned = of_parameter(function, "return")
    for (key, _), manager in built.managers.items() if returned is not None and not returned.error else ():
        if key == task.key and returned is not None:
            yield returned, manager


def _problem(task: dag.Task, text: str, library: str) -> Problem:
    return Problem(
        f"the task `{task.key}` is annotated `{text}`, which needs {library}, but no dependency of the project names "
        "it",
        task.source,
        f'add "{library}" to `dependencies` of [project]: without a version it takes the one of the platform, where '
        "that has one",
    )
