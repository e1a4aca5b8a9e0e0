"""The outputs of a task and their places, from its IoManager and its return annotation."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from dbxdec.authoring import contracting, small_results
from dbxdec.authoring.settings import plain
from dbxdec.errors import listed
from dbxdec.io_managers.base import IoManager, Mistaken, io_reference
from dbxdec.model import dag, typehints
from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.authoring.tasks import Task
    from dbxdec.model.typehints import Annotation

_RETURNS_NOTHING = ("typing.NoReturn", "typing.Never")


@dataclass(frozen=True)
class Stored:
    """The outputs of one call. `problem` and `hint` are a mistake; `nothing` is why there are rightly no outputs."""

    outputs: Mapping[str, dag.Output] = field(default_factory=dict)
    managers: Mapping[str, IoManager] = field(default_factory=dict)
    problem: str | None = None
    hint: str | None = None
    nothing: str = ""
    unsaid: bool = False
    """True if the task does not say what it returns. If the result is read, it is a small one."""


def outputs_of(task: Task[..., Any], job: str, key: str, default: IoManager | None) -> Stored:
    """Return what the call `key` of `task` stores: with its IoManager, as a task value, or nothing.

    The job's `default` manager stores results that are neither None nor small.
    """
    note = typehints.of_parameter(task.fn, "return")
    if task.options.outputs:
        return _named(task.options.outputs, note, job, key)
    small = note.value_type if note else None
    returns_none = note is not None and note.is_none
    manager = task.options.io_manager or (None if small or returns_none or _is_small(note, default) else default)
    if manager is not None:
        return _managed(manager, note, job, key)
    if small is not None:
        return Stored({dag.RESULT: dag.Output(type=small)})
    if note is None:
        return Stored(nothing="has neither an IoManager nor a return annotation", unsaid=True)
    if note.error:
        return Stored(
            problem=f"the task `{key}` returns `{note.text}`, which can't be resolved ({note.error}), and has no "
            "IoManager: its result would be lost",
            hint="give it one, `@task(io_manager=...)`; or, for a small result, import its type at run time too, not "
            "only under TYPE_CHECKING",
        )
    if returns_none or note.type_names == () or note.type_names[0] in _RETURNS_NOTHING:
        return Stored(nothing="returns None" if returns_none else f"has no IoManager and returns `{note.text}`")
    if (unfit := small_results.refusal(note.value)) is not None:
        return Stored(
            problem=f"the task `{key}` returns `{note.text}` and has no IoManager: it would be passed as JSON, "
            f"{unfit[0]}",
            hint=unfit[1],
        )
    return Stored(
        problem=f"the task `{key}` returns `{note.text}` but has no IoManager: its result would be lost",
        hint="give it one, `@task(io_manager=...)`, or return nothing (`-> None`)",
    )


def _is_small(note: Annotation | None, default: IoManager | None) -> bool:
    """Return whether the result is a small value that JSON lacks and that the job's manager does not store."""
    if note is None or default is None or small_results.refusal(note.value) is None:
        return False
    return _refusal(default, note, "") is not None


def of_iterations(
    outputs: Mapping[str, dag.Output], managers: Mapping[str, IoManager], task: Task[..., Any]
) -> dict[str, dag.Output]:
    """Return the `outputs` of a for-each task: separate for each iteration, unless the manager joins them.

    A small result is left out: the platform can't refer to a task value of one iteration.
    """

    def is_joined(name: str) -> bool:
        return name not in managers or managers[name].joins(typehints.returned_types(task.fn, name))

    return {
        name: output if output.target is None or is_joined(name) else replace(output, per_item=True)
        for name, output in outputs.items()
        if output.type is None
    }


def _named(managers: Mapping[str, IoManager], note: Annotation | None, job: str, key: str) -> Stored:
    outputs = {}
    for name, manager in managers.items():
        if not manager.is_table and manager.base_path is not None:
            return Stored(
                problem=f"the output `{name}` of the task `{key}` has an IoManager without a table",
                hint='name one for each output: `outputs={"good": io.table("good"), "bad": io.table("bad")}`',
            )
        outputs[name] = _output(manager, job, key, note and note.output(name))
    stored = Stored(outputs, managers)
    if note is not None and note.error:
        writes = {kind for manager in managers.values() for kind in manager.writes or ()}
        is_any = any(manager.writes is None for manager in managers.values())
        return _refused(
            stored, contracting.unresolved(note, _result(key), None if is_any else {*writes, "dict", "str"})
        )
    if note is None or not note.type_names:
        return stored
    if note.type_names != ("dict",):
        return replace(
            stored,
            problem=f"the task `{key}` has named outputs but returns `{note.text}`",
            hint=f"return a dict with the keys {listed(list(managers))}",
        )
    problems = (_refusal(manager, note.output(name), key) for name, manager in managers.items())
    return _refused(stored, next((found for found in problems if found), None))


def _output(manager: IoManager, job: str, key: str, note: Annotation | None) -> dag.Output:
    returns = None if note is None or note.error else note.type_names or None
    settings = manager.settings()
    if returns is not None and manager.merges.issuperset(returns):
        settings["mode"] = "merge"  # which the result says, whatever the manager's mode
    return dag.Output(
        io=io_reference(manager),
        target=manager.template(job, key),
        settings=plain(settings),
        shared=manager.shared,
        partial=manager.is_partial(returns),
        may_be_none=note is not None and note.error is None and note.optional,
        contract=None if note is None else note.contract,
    )


def _managed(manager: IoManager, note: Annotation | None, job: str, key: str) -> Stored:
    stored = Stored({dag.RESULT: _output(manager, job, key, note)}, {dag.RESULT: manager})
    if note is None or isinstance(manager, Mistaken):
        return stored
    if note.is_none:
        return replace(
            stored,
            problem=f"the task `{key}` returns None, so its {type(manager).__name__} has nothing to store",
            hint="annotate and return the result, or remove `io_manager=`",
        )
    return _refused(stored, _refusal(manager, note, key))


def _refused(stored: Stored, refusal: tuple[str, str] | None) -> Stored:
    return stored if refusal is None else replace(stored, problem=refusal[0], hint=refusal[1])


def _result(key: str) -> str:
    return f"the result of the task `{key}`"


def _refusal(manager: IoManager, note: Annotation, key: str) -> tuple[str, str] | None:
    """Return a message and a hint if the manager can't store the annotated type; None if it can."""
    if note.error:
        return contracting.unresolved(note, _result(key), manager.writes)
    if manager.writes is None or all(kind in manager.writes for kind in note.type_names):
        return contracting.refusal(note, _result(key))
    problem = f"the task `{key}` returns `{note.text}`, which {type(manager).__name__} can't store"
    return problem, f"it stores {', '.join(sorted(manager.writes))}"
