"""What a task stores and where: from its IoManager and its return annotation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dbxdec import dag, typehints
from dbxdec.authoring.settings import plain
from dbxdec.io_managers.base import IoManager, io_reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.authoring.tasks import Task
    from dbxdec.typehints import Annotation

_RETURNS_NOTHING = ("typing.NoReturn", "typing.Never")


@dataclass(frozen=True)
class Stored:
    """The outputs of one call. `problem` and `hint` say what is wrong; `nothing` why there are no outputs."""

    outputs: Mapping[str, dag.Output] = field(default_factory=dict)
    manager: IoManager | None = None
    problem: str | None = None
    hint: str | None = None
    nothing: str = ""


def outputs_of(task: Task[..., Any], job: str, key: str, default: IoManager | None) -> Stored:
    """What the call `key` of `task` stores: through its IoManager, as a task value, or not at all.

    The job's `default` manager serves tasks whose result is neither None nor a small result.
    """
    note = typehints.of_parameter(task.fn, "return")
    small = note.value_type if note else None
    returns_none = note is not None and note.is_none
    manager = task.options.io_manager or (None if small or returns_none else default)
    if manager is not None:
        return _managed(manager, note, job, key)
    if small is not None:
        return Stored({dag.RESULT: dag.Output(type=small)})
    if note is None:
        return Stored(nothing="has neither an IoManager nor a return annotation")
    if returns_none or note.type_names == () or note.type_names[0] in _RETURNS_NOTHING:
        return Stored(nothing="returns None" if returns_none else f"has no IoManager and returns `{note.text}`")
    return Stored(
        problem=f"the task `{key}` returns `{note.text}` but has no IoManager: its result would be lost",
        hint="give it one, `@task(io_manager=...)`, or return nothing (`-> None`)",
        nothing="has no IoManager",
    )


def _managed(manager: IoManager, note: Annotation | None, job: str, key: str) -> Stored:
    name = type(manager).__name__
    output = dag.Output(
        io=io_reference(manager),
        target=manager.template(job, key),
        settings=plain(manager.settings()),
        shared=manager.shared,
    )
    stored = Stored({dag.RESULT: output}, manager)
    if note is None or note.error:
        return stored
    if note.is_none:
        return replace(
            stored,
            problem=f"the task `{key}` returns None, so its {name} has nothing to store",
            hint="annotate and return the result, or remove `io_manager=`",
        )
    if manager.writes is not None and any(kind not in manager.writes for kind in note.type_names):
        return replace(
            stored,
            problem=f"the task `{key}` returns `{note.text}`, which {name} can't store",
            hint=f"it stores {', '.join(sorted(manager.writes))}",
        )
    return stored
