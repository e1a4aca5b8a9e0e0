"""The types of edges: whether what a task is given is what its parameter's annotation asks for."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from dbxdec import dag, typehints
from dbxdec.authoring.nodes import Step
from dbxdec.typehints import Annotation

if TYPE_CHECKING:
    from dbxdec.authoring.nodes import Call
    from dbxdec.io_managers.base import IoManager
    from dbxdec.values import ValueType

_UNSAID = Annotation("", Any)


def check(call: Call, parameter: str, binding: dag.Binding) -> None:
    """Note, on the call's recorder, every part of `binding` that the annotation of `parameter` refuses."""
    note = typehints.of_parameter(call.task.fn, parameter) or _UNSAID
    variadic = inspect.signature(call.task.fn).parameters[parameter].kind in (
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD,
    )
    if variadic and isinstance(binding, dag.Sequence | dag.Mapped):
        # The annotation of *args and **kwargs is that of each element.
        for item in _items(binding):
            _check(call, parameter, note, item)
    else:
        _check(call, parameter, note, binding)


def _items(binding: dag.Sequence | dag.Mapped) -> tuple[dag.Binding, ...]:
    return binding.items if isinstance(binding, dag.Sequence) else tuple(item for _, item in binding.items)


def _check(call: Call, parameter: str, note: Annotation, binding: dag.Binding) -> None:
    recorder = call.recorder
    match binding:
        case dag.Sequence() | dag.Mapped():
            for i, item in enumerate(_items(binding)):
                _check(call, parameter, note.element(i), item)
        case dag.Parameter(name):
            # A parameter whose own declaration is wrong is noted there.
            if (declared := recorder.parameters.get(name)) is not None:
                _check_value(call, parameter, note, declared.type, f"the job parameter `{name}`")
        case dag.TaskOutput(task, output):
            _check_output(call, parameter, note, task, output)
        case dag.Table(_, target):
            _check_read(call, parameter, note, recorder.tables[target], f"the table {target}")
        case dag.Literal() | dag.TaskValue():
            pass  # a literal is what the author wrote, and the type of a task value shows only when it is set


def _check_output(call: Call, parameter: str, note: Annotation, task: str, output: str) -> None:
    recorder = call.recorder
    producer = recorder.calls[task]
    stored = producer.outputs.get(output)
    if stored is None:
        _refuse_without_output(call, parameter, producer)
    elif stored.type is not None:
        _check_value(call, parameter, note, stored.type, f"the result of `{task}`")
    elif (manager := producer.managers.get(output)) is not None:
        _check_read(call, parameter, note, manager, f"the result of `{task}`")


def _refuse_without_output(call: Call, parameter: str, producer: Call | Step) -> None:
    if isinstance(producer, Step):
        call.recorder.problem(
            f"`{parameter}` of the task `{call.key}` is given the {producer.kind} task `{producer.key}`, which has no "
            "result",
            "read a task value of it, `x.value(key)`, or order the tasks with `.after(...)`",
        )
        return
    returns = typehints.of_parameter(producer.task.fn, "return")
    why = "returns None" if returns is not None and returns.is_none else "has no IoManager"
    call.recorder.problem(
        f"the task `{producer.key}` {why}, so `{call.key}` can't read its result as `{parameter}`",
        f"give `{producer.key}` an IoManager (`@task(io_manager=...)`) or annotate a small result such as `-> int`; "
        "to order the tasks without data use `.after(...)`",
    )


def _check_value(call: Call, parameter: str, note: Annotation, given: ValueType, what: str) -> None:
    wanted = note.value_type
    if note.error or note.type_names == ():
        return
    options = [_one(member, note.optional) for member in _members(note)] if wanted is None else [wanted]
    if not any(option is not None and option.accepts(given) for option in options):
        call.recorder.problem(
            f"`{parameter}` of the task `{call.key}` is annotated `{note.text}`, and {what} is `{given}`",
            f"annotate it `{given}`, or give it another value",
        )


def _members(note: Annotation) -> tuple[Any, ...]:
    import typing

    return typing.get_args(note.value) if typehints.is_union(note.value) else (note.value,)


def _one(member: Any, optional: bool) -> ValueType | None:
    return Annotation("", member, optional).value_type


def _check_read(call: Call, parameter: str, note: Annotation, manager: IoManager, what: str) -> None:
    name = type(manager).__name__
    if note.error:
        call.recorder.problem(
            f"the annotation `{note.text}` of `{parameter}` of the task `{call.key}` can't be resolved ({note.error}), "
            f"and it decides how {what} is read",
            "import the type at run time too, not only under TYPE_CHECKING",
        )
    elif manager.reads is not None and any(kind not in manager.reads for kind in note.type_names):
        call.recorder.problem(
            f"`{parameter}` of the task `{call.key}` is annotated `{note.text}`, which {name} can't give; "
            f"it reads {what}",
            f"annotate it as {' or '.join(sorted(manager.reads))}",
        )
