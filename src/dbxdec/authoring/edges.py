"""Type checks of edges: arguments of tasks against the annotations of their parameters."""

from __future__ import annotations

import inspect
import json
import typing
from typing import TYPE_CHECKING, Any

from dbxdec.authoring import contracting
from dbxdec.authoring.definitions import arguments_of
from dbxdec.authoring.literal_types import misfit
from dbxdec.authoring.nodes import Call, Recorder, Step
from dbxdec.model import dag, literals, typehints
from dbxdec.model.annotations import is_union
from dbxdec.model.typehints import Annotation

if TYPE_CHECKING:
    from dbxdec.io_managers.base import IoManager
    from dbxdec.model.values import ValueType

_UNSAID = Annotation("", Any)
# An item that is a string is converted to the annotated type.
_READ_FROM_STRINGS = ("date", "datetime", "decimal", "enum", "literal")


def check(call: Call, parameter: str, binding: dag.Binding) -> bool:
    """Note, on the call's recorder, every part of `binding` that the annotation of `parameter` refuses.

    Return whether the annotation allows None for every task's result in `binding`.
    """
    note = typehints.of_parameter(call.task.fn, parameter) or _UNSAID
    several = isinstance(binding, dag.Sequence | dag.Mapped) or isinstance(getattr(binding, "given", None), list | dict)
    if several and arguments_of(call.task.fn).is_variadic(parameter):
        # The annotation of *args and **kwargs is that of each element.
        for item in _items(binding):
            _check(call, parameter, note, item)
    else:
        _check(call, parameter, note, binding)
    return _takes_none(note, binding)


def _takes_none(note: Annotation, binding: dag.Binding) -> bool:
    match binding:
        case dag.Sequence(items):
            return all(_takes_none(note.element(i), item) for i, item in enumerate(items))
        case dag.Mapped(items):
            return all(_takes_none(note.element(), item) for _, item in items)
        case dag.TaskOutput() | dag.TaskValue():
            return note.optional
        case _:
            return True


def _items(binding: dag.Binding) -> tuple[dag.Binding, ...]:
    match binding:
        case dag.Sequence(items):
            return items
        case dag.Mapped(items):
            return tuple(item for _, item in items)
        case dag.Literal(given=list(values)):
            return tuple(dag.Literal(None, value) for value in values)
        case dag.Literal(given=dict(values)):
            return tuple(dag.Literal(None, value) for value in values.values())
    return ()


def _check(call: Call, parameter: str, note: Annotation, binding: dag.Binding, *, place: str = "") -> None:
    recorder = call.recorder
    match binding:
        case dag.Sequence() | dag.Mapped():
            if not _is_container(call, parameter, note, binding, place):
                return
            names = [f"[{key!r}]" for key, _ in binding.items] if isinstance(binding, dag.Mapped) else None
            for i, item in enumerate(_items(binding)):
                _check(call, parameter, note.element(i), item, place=place + (names[i] if names else f"[{i}]"))
        case dag.Parameter(name):
            # A wrong declaration of the parameter is noted elsewhere.
            if (declared := recorder.parameters.get(name)) is not None:
                _check_value(call, parameter, note, declared.type, f"the job parameter `{name}`")
        case dag.TaskOutput():
            _check_output(call, parameter, note, binding)
        case dag.Table(_, target):
            _check_read(call, parameter, note, recorder.tables[target], f"the table {target}")
        case dag.Literal(given=value):
            _check_literal(call, parameter, note, value, place)
        case dag.Item() if call.each is not None and isinstance(call.each.items, dag.Literal):
            for i, item in enumerate(call.each.items.given):
                _check_literal(call, parameter, note, item, f"{place}, item {i} of each(...),")
        case dag.Item() if call.each is not None:
            _check_item(call, parameter, note, call.each.items)
        case dag.TaskValue() | dag.Item():
            pass  # their types are known only in a run


def _check_literal(call: Call, parameter: str, note: Annotation, value: Any, place: str) -> None:
    if (found := misfit(value, note)) is not None:
        path = f"{place}{found.path}"
        given = f"{parameter}{path} is {found}" if path else f"gets {found}"
        call.recorder.problem(
            f"the parameter `{parameter}` of the task `{call.key}` is annotated `{note.text}`, but {given}",
            found.hint or "pass another value, or change the annotation",
        )


def _check_item(call: Call, parameter: str, note: Annotation, items: dag.Binding) -> None:
    """Check the items of a list that only the run knows, if its type has an element type."""
    recorder = call.recorder
    element, of = _type_of_items(recorder, items)
    if element is None or note.error:
        return
    if note.value_type is None and not element.is_json:
        recorder.problem(
            f"the parameter `{parameter}` of the task `{call.key}` gets items of {of}, which are passed as strings",
            f"annotate it `{element}`: then each item is converted back",
        )
    elif not _takes_item(note, element):
        _check_value(call, parameter, note, element, f"an item of {of}")


def _type_of_items(recorder: Recorder, items: dag.Binding) -> tuple[ValueType | None, str]:
    """Return the type of the items of a list that comes with the run, None if it is unknown, and their origin."""
    match items:
        case dag.Parameter(name) if name in recorder.parameters:
            return recorder.parameters[name].type.element, f"the job parameter `{name}`"
        case dag.TaskOutput(task) if dag.RESULT in recorder.calls[task].outputs:
            kind = recorder.calls[task].outputs[dag.RESULT].type
            return kind and kind.element, f"the result of the task `{task}`"
    return None, ""


def _is_container(call: Call, parameter: str, note: Annotation, binding: dag.Sequence | dag.Mapped, place: str) -> bool:
    """Return whether the annotation takes such a list, tuple or dict; if not, note it. Elements are not checked."""
    empty: Any = {}
    if isinstance(binding, dag.Sequence):
        empty = [] if binding.kind == "list" else (None,) * len(binding.items)
    found = misfit(empty, note)
    if found is None or found.path:
        return True
    kind = type(empty).__name__
    call.recorder.problem(
        f"the parameter `{parameter}` of the task `{call.key}` is annotated `{note.text}`, but "
        + (f"{parameter}{place} is a {kind}" if place else f"gets a {kind}"),
        f"pass one value, or annotate it `{kind}[...]`",
    )
    return False


def _check_output(call: Call, parameter: str, note: Annotation, binding: dag.TaskOutput) -> None:
    recorder = call.recorder
    producer = recorder.calls[binding.task]
    stored = producer.outputs.get(binding.output)
    what = f"the result of the task `{binding.task}`"
    if stored is None:
        _refuse_without_output(call, parameter, producer)
        return
    if stored.type is not None:
        if binding.rows != "run":
            recorder.problem(
                f"the parameter `{parameter}` of the task `{call.key}` gets `.{_SPELT[binding.rows]}` of the task "
                f"`{binding.task}`, whose result is a task value",
                "pass its result itself",
            )
        _check_value(call, parameter, note, stored.type, what)
        return
    manager = producer.managers.get(binding.output)
    if manager is None:
        return
    _check_rows(call, parameter, binding, manager, producer)
    if producer.each is not None and binding.rows in _WHOLE and note.collects(manager.reads) is not None:
        recorder.problem(
            f"the parameter `{parameter}` of the task `{call.key}` is annotated `{note.text}`, but gets "
            f"{_WHOLE[binding.rows]} of the task `{binding.task}`, which is one value for all iterations",
            f"annotate it `{_element_of(note)}`, or pass the result itself: `{note.text}` has one value per iteration",
        )
    elif producer.each is None or binding.rows == "newest":
        _check_read(call, parameter, note, manager, what)
    else:
        _check_iterations(call, parameter, note, manager, producer)


_SPELT = {"table": "table", "changed": "written"}
_WHOLE = {"table": "the whole table", "newest": "the newest version of the table"}


def _element_of(note: Annotation) -> str:
    """Return the type of the elements of a list or dict, as it is written in an annotation."""
    inner = note.element()
    names = " | ".join(inner.type_names) or "Any"
    return f"{names} | None" if inner.optional else names


def _check_rows(call: Call, parameter: str, binding: dag.TaskOutput, manager: IoManager, producer: Call | Step) -> None:
    """Note if the manager, or the producer's return type, leaves open which rows the reader gets."""
    name = type(manager).__name__
    if binding.rows == "table" and not manager.reads_table:
        call.recorder.problem(
            f"the parameter `{parameter}` of the task `{call.key}` gets the whole table of the task `{binding.task}`, "
            f"which {name} can't distinguish from the task's result",
            "pass the result itself, or use an IoManager for tables, such as PolarsDeltaIoManager",
        )
    if binding.rows != "run" or not isinstance(producer, Call):
        return
    returns = set(typehints.returned_types(producer.task.fn, binding.output) or ())
    if returns & manager.merges and returns - manager.merges:
        call.recorder.problem(
            f"the parameter `{parameter}` of the task `{call.key}` reads the task `{binding.task}`, which returns a "
            "frame or a merge: a frame has its own rows, a merge has none",
            "choose the rows: `x.table` is the whole table, `x.written` what this run wrote",
        )


def _check_iterations(call: Call, parameter: str, note: Annotation, manager: IoManager, producer: Call | Step) -> None:
    """Check a reader of all iterations."""
    recorder, what = call.recorder, f"the results of the iterations of the task `{producer.key}`"
    collects = note.collects(manager.reads)
    if collects is None:
        _check_read(call, parameter, note, manager, what)
        if not manager.combines:
            recorder.problem(
                f"the parameter `{parameter}` of the task `{call.key}` reads {what} as one value, which "
                f"{type(manager).__name__} can't combine",
                "annotate it `list[...]` or `dict[..., ...]`, or implement `combine` in the IoManager",
            )
        return
    _check_read(call, parameter, note.element(), manager, what)
    if collects != "dict" or producer.each is None:
        return
    if why := _no_keys(recorder, producer.each):
        recorder.problem(
            f"the parameter `{parameter}` of the task `{call.key}` reads {what} by item, but {why}",
            "annotate it `list[...]`: the results are in the order of the items",
        )
    elif why := _other_keys(recorder, producer.each, note.keys):
        recorder.problem(
            f"the parameter `{parameter}` of the task `{call.key}`, annotated `{note.text}`, reads {what} by item, "
            f"but {why}",
            "annotate the keys as the items are",
        )


def _no_keys(recorder: Recorder, each: dag.Each) -> str | None:
    """Return why the items can't be keys of a dict, as far as the build knows; None if they can."""
    if not isinstance(each.items, dag.Literal):
        element, of = _type_of_items(recorder, each.items)
        no_key = element is not None and element.kind in ("list", "dict")
        return f"an item of {of} is a `{element}`, which can't be a key" if no_key else None
    if not isinstance(each.items.value, list):
        return None
    if any(not literals.is_hashable(item) for item in each.items.value):
        return "an item is a list or a dict, which can't be a key"
    texts = {json.dumps(item, sort_keys=True) for item in each.items.value}
    return None if len(texts) == len(each.items.value) else "two of the items are equal"


def _other_keys(recorder: Recorder, each: dag.Each, keys: Annotation) -> str | None:
    """Return how the items differ from the annotated keys of a dict, as far as the build knows; None if they don't."""
    if isinstance(each.items, dag.Literal):
        found = [(i, misfit(item, keys)) for i, item in enumerate(each.items.given)]
        return next((f"item {i} is {other}" for i, other in found if other is not None), None)
    element, of = _type_of_items(recorder, each.items)
    if element is None or _takes_item(keys, element):
        return None
    return f"an item of {of} is a `{element}`"


def _refuse_without_output(call: Call, parameter: str, producer: Call | Step) -> None:
    if isinstance(producer, Step):
        call.recorder.problem(
            f"the parameter `{parameter}` of the task `{call.key}` gets the {producer.kind} task `{producer.key}`, "
            "which has no result",
            "put the task on a branch with `.then(...)`, and pass another value"
            if producer.kind == "condition"
            else "read one of its task values, `x.value(key)`, or order the tasks with `.after(...)`",
        )
        return
    if producer.each is not None and not producer.managers:
        call.recorder.problem(
            f"the task `{producer.key}` runs for each of many items, so `{call.key}` can't read its small result as "
            f"`{parameter}`",
            f"give `{producer.key}` an IoManager: the platform does not keep task values per iteration",
        )
        return
    if not producer.nothing:
        return
    call.recorder.problem(
        f"the task `{producer.key}` {producer.nothing}, so `{call.key}` can't read its result as `{parameter}`",
        f"give `{producer.key}` an IoManager (`@task(io_manager=...)`) or annotate a small result such as `-> int`; "
        "to order the tasks without data use `.after(...)`",
    )


def _check_value(call: Call, parameter: str, note: Annotation, given: ValueType, what: str) -> None:
    if not _takes(note, given):
        call.recorder.problem(
            f"the parameter `{parameter}` of the task `{call.key}` is annotated `{note.text}`, but {what} is `{given}`",
            f"annotate it `{given}`, or pass another value",
        )


def _takes(note: Annotation, given: ValueType) -> bool:
    """Return whether the annotation takes values of this type, or whether that is unknown."""
    wanted = note.value_type
    if note.error or note.type_names == ():
        return True
    options = [_one(member, note.optional) for member in _members(note)] if wanted is None else [wanted]
    return any(option is not None and option.accepts(given) for option in options) or _is_abstract(note, given)


def _takes_item(note: Annotation, element: ValueType) -> bool:
    """Return whether the annotation takes an item of this type, which comes with the run."""
    is_read = element.kind == "str" and note.value_type is not None and note.value_type.kind in _READ_FROM_STRINGS
    return is_read or _takes(note, element)


def _is_abstract(note: Annotation, given: ValueType) -> bool:
    """Return whether the annotation is an abstract type, such as Sequence or Mapping, that `given` implements."""
    origins = [typing.get_origin(member) or member for member in _members(note)]
    return (note.optional or not given.optional) and any(
        inspect.isabstract(origin) and issubclass(given.plain, origin) for origin in origins if given.plain is not None
    )


def _members(note: Annotation) -> tuple[Any, ...]:
    return typing.get_args(note.value) if is_union(note.value) else (note.value,)


def _one(member: Any, optional: bool) -> ValueType | None:
    return Annotation("", member, optional).value_type


def _check_read(call: Call, parameter: str, note: Annotation, manager: IoManager, what: str) -> None:
    name = type(manager).__name__
    if note.error:
        call.recorder.problem(
            f"the annotation `{note.text}` of the parameter `{parameter}` of the task `{call.key}` can't be resolved "
            f"({note.error}), but it decides how {what} is read",
            "import the type at run time too, not only under TYPE_CHECKING",
        )
    elif manager.reads is not None and any(kind not in manager.reads for kind in note.type_names):
        call.recorder.problem(
            f"the parameter `{parameter}` of the task `{call.key}` is annotated `{note.text}`, which {name} can't "
            f"return; it reads {what}",
            f"annotate it as {' or '.join(', '.join(sorted(manager.reads)).rsplit(', ', 1))}",
        )
    elif (found := contracting.refusal(note, f"the parameter `{parameter}` of the task `{call.key}`")) is not None:
        call.recorder.problem(found[0], found[1] or None)
