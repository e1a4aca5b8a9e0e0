"""From bindings to values: a task's inputs, read, decoded and shaped as its function takes them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dbxdec import dag, literals, places, typehints
from dbxdec.errors import NotWrittenError, RunError
from dbxdec.io_managers import base
from dbxdec.io_managers.base import ANY_ITEM, InputContext, IoManager, WriteId, log
from dbxdec.runtime import record
from dbxdec.runtime.iterations import Iteration, all_items, by_item
from dbxdec.runtime.task_values import task_values
from dbxdec.typehints import Annotation, of_parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dbxdec.values import ValueType

_UNSAID = Annotation("", Any)


@dataclass(frozen=True)
class Reader:
    """Gives the values of one task's inputs. `writer` is this task's own write id; producers differ in the task."""

    job: dag.Job
    parameters: Mapping[str, Any]
    managers: Mapping[tuple[str, str], IoManager]
    tables: Mapping[str, IoManager]
    writer: WriteId
    started: int
    iteration: Iteration | None = None

    def arguments(self, task: dag.Task, function: Callable[..., Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments for `function`."""
        positional: list[Any] = []
        keyword: dict[str, Any] = {}
        for parameter in typehints.signature(function).parameters.values():
            if parameter.name not in task.inputs:
                if parameter.kind is parameter.POSITIONAL_ONLY:
                    break  # the rest have defaults: the build has checked it
                continue
            binding = task.inputs[parameter.name]
            note = of_parameter(function, parameter.name) or _UNSAID
            if parameter.kind is parameter.VAR_POSITIONAL and isinstance(binding, dag.Sequence):
                positional += [self._value(item, note, parameter.name) for item in binding.items]
            elif parameter.kind is parameter.VAR_POSITIONAL:
                positional += self._value(binding, note, parameter.name)
            elif parameter.kind is parameter.VAR_KEYWORD and isinstance(binding, dag.Mapped):
                keyword |= {key: self._value(item, note, key) for key, item in binding.items}
            elif parameter.kind is parameter.VAR_KEYWORD:
                keyword |= self._value(binding, note, parameter.name)
            elif parameter.kind is parameter.KEYWORD_ONLY:
                keyword[parameter.name] = self._value(binding, note, parameter.name)
            elif len(positional) == _position(function, parameter.name):
                positional.append(self._value(binding, note, parameter.name))
            else:  # a parameter before this one keeps its default
                keyword[parameter.name] = self._value(binding, note, parameter.name)
        return positional, keyword

    def _value(self, binding: dag.Binding, note: Annotation, parameter: str) -> Any:
        match binding:
            case dag.Literal(value):
                return literals.decode(value)
            case dag.Parameter(name):
                return self.parameters[name]
            case dag.Item():
                return self._item(note, parameter)
            case dag.TaskValue(task, key):
                return self._task_value(task, key, note)
            case dag.Sequence(items, kind):
                values = [self._value(item, note.element(i), parameter) for i, item in enumerate(items)]
                return tuple(values) if kind == "tuple" else values
            case dag.Mapped(items):
                return {key: self._value(item, note.element(), parameter) for key, item in items}
            case dag.Table(_, target):
                return self._read(self.tables[target], places.resolved(target), note, parameter, None)
            case dag.TaskOutput():
                return self._output(binding, note, parameter)

    def _item(self, note: Annotation, parameter: str) -> Any:
        if self.iteration is None:
            raise RunError(f"`{parameter}` is the item of an iteration, and the task was started without one")
        return self.iteration.value(note, f"`{parameter}`")

    def _output(self, binding: dag.TaskOutput, note: Annotation, parameter: str) -> Any:
        producer = self.job.task(binding.task)
        stored = producer.outputs[binding.output]
        try:
            if stored.type is not None:
                return self._small_result(binding.task, stored.type, parameter)
            if producer.each is not None:
                return self._iterations(binding, producer.each, stored, note, parameter)
            return self._stored(binding, stored, note, parameter)
        except NotWrittenError:
            if note.optional:
                log.info("read %s: None, since the task `%s` wrote nothing in this run", parameter, binding.task)
                return None
            raise

    def _small_result(self, task: str, kind: ValueType, parameter: str) -> Any:
        missing = object()
        form = task_values.get(task, dag.RETURN_VALUE, missing)
        if form is missing:
            raise NotWrittenError(
                f"the task `{task}` has left no result in this run, and `{parameter}` needs it",
                hint=f"annotate `{parameter}` with `| None` if the task may be left out",
            )
        try:
            return kind.from_json(form)
        except ValueError as error:
            raise RunError(f"the result of the task `{task}` {error}") from None

    def _stored(
        self,
        binding: dag.TaskOutput,
        stored: dag.Output,
        note: Annotation,
        parameter: str,
        *,
        item: str = "",
        written: bool = False,
    ) -> Any:
        """What the producer wrote: all of it, or in the iteration `item`."""
        output = "" if binding.output == dag.RESULT else binding.output
        producer = replace(self.writer, task=binding.task, item=item, output=output)
        manager = self.managers[binding.task, binding.output]
        target = places.resolved(stored.target or "")
        if stored.per_item:
            target = manager.item_target(target, int(item))
        return self._read(manager, target, note, parameter, producer, written=written or binding.written)

    def _iterations(
        self, binding: dag.TaskOutput, each: dag.Each, stored: dag.Output, note: Annotation, parameter: str
    ) -> Any:
        """The results of all iterations of the producer: as one, as a list, or as a dict by item."""
        manager = self.managers[binding.task, binding.output]
        collects = note.collects(manager.reads)
        # What they have added are several commits of one table.
        if collects is None and not stored.per_item and not binding.written:
            return self._stored(binding, stored, note, parameter, item=ANY_ITEM)
        items = all_items(each, self.parameters)
        element = note.element() if collects else note
        found: list[Any] = []
        missing: list[NotWrittenError] = []
        for i in range(len(items)):
            try:
                one = self._stored(binding, stored, element, parameter, item=str(i), written=not stored.per_item)
            except NotWrittenError as error:
                missing.append(error)
                one = None
            found.append(one)
        # One result of all is made of those there are; where they are told apart, each has to be there.
        if missing and (len(missing) == len(items) or (collects and not element.optional)):
            raise missing[0]
        if collects == "list":
            return found
        if collects == "dict":
            return by_item(items, found, note.keys, f"`{parameter}`")
        context = InputContext(places.resolved(stored.target or ""), parameter, None if note.error else note.value)
        return manager.combine([one for one in found if one is not None], context)

    def _task_value(self, task: str, key: str, note: Annotation) -> Any:
        form = task_values.get(task, key, None) if note.optional else task_values.get(task, key)
        if form is None or note.value_type is None:
            return form
        try:
            return note.value_type.from_json(form)
        except ValueError as error:
            raise RunError(f"the task value `{key}` of the task `{task}` {error}") from None

    def _read(
        self,
        manager: IoManager,
        uri: str,
        note: Annotation,
        parameter: str,
        producer: WriteId | None,
        *,
        written: bool = False,
    ) -> Any:
        began = time.perf_counter()
        context = InputContext(uri, parameter, None if note.error else note.value, producer, self.started, written)
        with base.facts_of_reading() as facts:
            value = manager.read(context)
        record.note("read", parameter, uri, facts, value, time.perf_counter() - began)
        return value


def _position(function: Callable[..., Any], name: str) -> int:
    return list(typehints.signature(function).parameters).index(name)
