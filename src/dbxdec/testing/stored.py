"""A built job with its tables in a lake: the same tasks and edges, other places and IoManagers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.model import dag
from dbxdec.model.variables import names_in
from dbxdec.testing.memory import MemoryIoManager

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.authoring.jobs import BuiltJob
    from dbxdec.testing.lake import Lake

_TOKEN = re.compile(r"\$\{(?:var\.)?([^}]*)\}")


def in_memory(built: BuiltJob, lake: Lake, variables: Mapping[str, str]) -> BuiltJob:
    """Return `built`, with `lake` as the storage of everything that it stores or reads."""
    job = built.dag

    def place(target: str) -> str:
        # Places need no storage here, so variables in them may be unknown.
        return _TOKEN.sub(lambda match: variables.get(match[1], f"<{match[1]}>"), target)

    def quarantine(own: Any, task: str) -> str:
        table = getattr(own, "quarantine", None)
        return "" if table is None else place(table.template(job.key, task) or "")

    def output(task: dag.Task, name: str, found: dag.Output) -> dag.Output:
        target = found.target or "/".join([job.key, task.key, *([] if name == dag.RESULT else [name])])
        return found if found.io is None else replace(found, target=place(target))

    def binding(found: dag.Binding) -> dag.Binding:
        match found:
            case dag.Table(_, target):
                return replace(found, target=place(target))
            case dag.Sequence(items, kind):
                return dag.Sequence(tuple(map(binding, items)), kind)
            case dag.Mapped(items):
                return dag.Mapped(tuple((key, binding(item)) for key, item in items))
            case _:
                return found

    tasks = tuple(
        replace(
            task,
            inputs={name: binding(found) for name, found in task.inputs.items()},
            outputs={name: output(task, name, found) for name, found in task.outputs.items()},
        )
        for task in job.tasks
    )
    managers: dict[tuple[str, str], Any] = {
        (key, name): MemoryIoManager(lake, own, job.task(key).outputs[name].target, quarantine(own, key))
        for (key, name), own in built.managers.items()
    }
    tables = {place(target): MemoryIoManager(lake, own, target) for target, own in built.tables.items()}
    return replace(built, dag=replace(job, tasks=tasks), managers=managers, tables=tables)


def where_it_is(built: BuiltJob, lake: Lake) -> BuiltJob:
    """Return `built` as it is, but with the tables that the test has given."""
    given = {target: MemoryIoManager(lake, own, target) for target, own in built.tables.items() if lake.has(target)}
    return replace(built, tables={**built.tables, **given})


def places_need(built: Mapping[str, BuiltJob]) -> set[str]:
    """Return the bundle variables in the places that jobs read and write."""
    outputs = [o.target for one in built.values() for task in one.dag.tasks for o in task.outputs.values()]
    return names_in([*(target for target in outputs if target), *(t for one in built.values() for t in one.tables)])
