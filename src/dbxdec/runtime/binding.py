"""From bindings to values: a task's inputs, read, decoded and shaped as its function takes them."""

from __future__ import annotations

import inspect
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dbxdec import dag, literals
from dbxdec.errors import NotWrittenError, RunError
from dbxdec.io_managers.base import InputContext, IoManager, WriteId, log
from dbxdec.runtime.task_values import task_values
from dbxdec.typehints import Annotation, of_parameter
from dbxdec.variables import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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

    def arguments(self, task: dag.Task, function: Callable[..., Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments for `function`."""
        positional: list[Any] = []
        keyword: dict[str, Any] = {}
        for parameter in inspect.signature(function).parameters.values():
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
            case dag.TaskValue(task, key):
                return self._task_value(task, key, note)
            case dag.Sequence(items, kind):
                values = [self._value(item, note.element(i), parameter) for i, item in enumerate(items)]
                return tuple(values) if kind == "tuple" else values
            case dag.Mapped(items):
                return {key: self._value(item, note.element(), parameter) for key, item in items}
            case dag.Table(_, target):
                return self._read(self.tables[target], target, note, parameter, None)
            case dag.TaskOutput(task, output):
                return self._output(task, output, note, parameter)

    def _output(self, task: str, output: str, note: Annotation, parameter: str) -> Any:
        stored = self.job.task(task).outputs[output]
        try:
            if stored.type is None:
                producer = WriteId(self.writer.workspace, self.writer.job, self.writer.run, task)
                return self._read(self.managers[task, output], stored.target or "", note, parameter, producer)
            missing = object()
            form = task_values.get(task, dag.RETURN_VALUE, missing)
            if form is missing:
                raise NotWrittenError(
                    f"the task `{task}` has left no result in this run, and `{parameter}` needs it",
                    hint=f"annotate `{parameter}` with `| None` if the task may be left out",
                )
            return stored.type.from_json(form)
        except NotWrittenError:
            if note.optional:
                log.info("read %s: None, since the task `%s` wrote nothing in this run", parameter, task)
                return None
            raise
        except ValueError as error:
            raise RunError(f"the result of the task `{task}` {error}") from None

    def _task_value(self, task: str, key: str, note: Annotation) -> Any:
        form = task_values.get(task, key, None) if note.optional else task_values.get(task, key)
        if form is None or note.value_type is None:
            return form
        try:
            return note.value_type.from_json(form)
        except ValueError as error:
            raise RunError(f"the task value `{key}` of the task `{task}` {error}") from None

    def _read(self, manager: IoManager, target: str, note: Annotation, parameter: str, producer: WriteId | None) -> Any:
        began = time.perf_counter()
        uri = resolve(target)
        context = InputContext(uri, parameter, None if note.error else note.value, producer, self.started)
        value = manager.read(context)
        log.info("read %s: %s (%.2f s)", parameter, uri, time.perf_counter() - began)
        return value


def _position(function: Callable[..., Any], name: str) -> int:
    return list(inspect.signature(function).parameters).index(name)
