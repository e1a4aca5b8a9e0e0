"""Input values of a task: read, decoded, and shaped as its function takes them."""

from __future__ import annotations

import time
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import NotWrittenError, RunError
from dbxdec.io_managers import contexts, outcomes
from dbxdec.io_managers.base import IoManager, log
from dbxdec.io_managers.contexts import InputContext, WriteId
from dbxdec.io_managers.frames.connections import connection
from dbxdec.model import dag, literals, places, signatures
from dbxdec.model.typehints import CONNECTION, SESSION, Annotation, given_by_runs, of_parameter
from dbxdec.model.values import ANY
from dbxdec.records import dataclass
from dbxdec.runtime import contracting, record, upstream
from dbxdec.runtime.iterations import Iteration, all_items, by_item, iterations_of
from dbxdec.runtime.task_values import task_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dbxdec.model.values import ValueType

_UNSAID = Annotation("", Any)


@dataclass(frozen=True)
class Reader:
    """Reads the values of one task's inputs.

    `writer` is this task's own write id; those of producers differ only in the task. `certain` are the outputs whose
    producers store something whenever they run, so a producer that stored nothing did not run. `not_run` are the
    upstream tasks of which the caller knows that they did not, and how each ended.
    """

    job: dag.Job
    parameters: Mapping[str, Any]
    managers: Mapping[tuple[str, str], IoManager]
    tables: Mapping[str, IoManager]
    writer: WriteId
    started: int
    certain: frozenset[tuple[str, str]] = frozenset()
    iteration: Iteration | None = None
    not_run: Mapping[str, str] = field(default_factory=dict)
    new: Callable[[str], Any] | None = None
    """Gives what is new for a parameter that reads changes; None for a task without such parameters."""

    def arguments(self, task: dag.Task, function: Callable[..., Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the positional and keyword arguments for `function`."""
        positional: list[Any] = []
        keyword: dict[str, Any] = {}
        given = given_by_runs(function)
        made = {name: _session() if kind == SESSION else connection() for name, kind in given.items()}
        for parameter in signatures.signature(function).parameters.values():
            if parameter.name in given and parameter.name not in task.inputs:
                if parameter.kind is not parameter.KEYWORD_ONLY and len(positional) == _position(
                    function, parameter.name
                ):
                    positional.append(made[parameter.name])
                else:
                    keyword[parameter.name] = made[parameter.name]
                continue
            if parameter.name not in task.inputs:
                if parameter.kind is parameter.POSITIONAL_ONLY:
                    break  # the rest have defaults, as the build has checked
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
        if (own := next((made[name] for name, kind in given.items() if kind == CONNECTION), None)) is not None:
            from dbxdec.io_managers.frames.registering import register

            arguments = signatures.signature(function).bind(*positional, **keyword).arguments
            tables = {name for name, one in task.inputs.items() if isinstance(one, dag.Table | dag.TaskOutput)}
            register(own, {name: value for name, value in arguments.items() if name in tables})
        return positional, keyword

    def _value(self, binding: dag.Binding, note: Annotation, parameter: str) -> Any:
        match binding:
            case dag.Table(changes=changes) | dag.TaskOutput(changes=changes) if changes is not None:
                assert self.new is not None  # noqa: S101 - a task that reads changes has it
                return self.new(parameter)
            case dag.Literal(value):
                return literals.decode(value)
            case dag.Parameter(name):
                return self.parameters[name]
            case dag.Item():
                return self._item(note, parameter)
            case dag.TaskValue(task, key):
                return self._task_value(task, key, note, parameter)
            case dag.Sequence(items, kind):
                values = [self._value(item, note.element(i), parameter) for i, item in enumerate(items)]
                return tuple(values) if kind == "tuple" else values
            case dag.Mapped(items):
                return {key: self._value(item, note.element(), parameter) for key, item in items}
            case dag.Table(_, target):
                return self._newest(self.tables[target], places.resolved(target), note, parameter)
            case dag.TaskOutput():
                return self._output(binding, note, parameter)

    def _item(self, note: Annotation, parameter: str) -> Any:
        if self.iteration is None:
            raise RunError(
                f"the parameter `{parameter}` is the item of an iteration, but the task was started without an item"
            )
        return self.iteration.value(note, f"the parameter `{parameter}`")

    def _output(self, binding: dag.TaskOutput, note: Annotation, parameter: str) -> Any:
        producer = self.job.task(binding.task)
        stored = producer.outputs[binding.output]
        try:
            if stored.type is not None:
                return self._small_result(binding.task, stored.type, note, parameter)
            manager = self.managers[binding.task, binding.output]
            target = places.resolved(stored.target or "")
            if binding.rows == "newest":
                return self._newest(manager, target, note, parameter)
            write = written_by(replace(self.writer, item="", items=0), producer, binding.output)
            context = self._context(target, note, parameter, write, binding.rows)
            if producer.each is not None:
                return self._iterations(producer.each, binding.output, manager, context, note)
            return self._recorded(context, manager.read)
        except NotWrittenError:
            how = self.not_run.get(binding.task)
            if note.optional:
                why = (
                    upstream.ended(binding.task, how) if how else f"the task `{binding.task}` wrote nothing in this run"
                )
                log.info("read %s: None, since %s", parameter, why)
                return None
            if how is None:
                raise
            raise self._of_not_run(binding.task, how, parameter, is_table=stored.type is None) from None

    def _of_not_run(self, task: str, how: str, parameter: str, *, is_table: bool) -> NotWrittenError:
        return upstream.error(task, how, parameter, self.writer.task, is_table=is_table)

    def _newest(self, manager: IoManager, uri: str, note: Annotation, parameter: str) -> Any:
        """Return what is at `uri` now, from any run; None for an optional parameter if nothing is there yet."""
        context = self._context(uri, note, parameter, None, "run")
        try:
            return self._recorded(context, manager.read)
        except NotWrittenError:
            if note.optional:
                log.info("read %s: None, since there is nothing at %s yet", parameter, uri)
                return None
            raise

    def _context(
        self, uri: str, note: Annotation, parameter: str, producer: WriteId | None, rows: contexts.Rows
    ) -> InputContext:
        annotation = None if note.error else note.value
        return InputContext(uri, parameter, annotation, producer, self.started, rows, contract=note.contract)

    def _small_result(self, task: str, kind: ValueType, note: Annotation, parameter: str) -> Any:
        missing = object()
        form = missing if self._is_left_out(task) else task_values.get(task, dag.RETURN_VALUE, missing)
        if form is missing:
            raise NotWrittenError(
                f"the task `{task}` has left no result in this run, but the parameter `{parameter}` needs it",
                hint=f"annotate the parameter `{parameter}` with `| None` if the task may be skipped",
            )
        try:
            value = kind.from_json(form)
        except ValueError as error:
            raise RunError(f"the result of the task `{task}` {error}") from None
        if kind.kind == ANY and note.value_type is not None:
            try:
                note.value_type.to_json(value)
            except TypeError as error:
                raise RunError(
                    f"the parameter `{parameter}` is annotated `{note.text}`, but the task `{task}` returned "
                    f"something else: {error}",
                    hint=f"annotate what the task `{task}` returns, so that the build finds the mistake",
                ) from None
        return value

    def _iterations(
        self, each: dag.Each, output: str, manager: IoManager, context: InputContext, note: Annotation
    ) -> Any:
        """Return the results of all iterations of the producer: combined, as a list, or as a dict by item."""
        collects, items = note.collects(manager.reads), all_items(self.job, each, self.parameters)
        write = context.producer
        assert write is not None  # noqa: S101 - the caller gives one
        stored = self.job.task(write.task).outputs[output]
        # A producer that has not run, or has failed, does not say that there was nothing to store.
        certain = (write.task, output) in self.certain or write.task in self.not_run
        writes = [
            contexts.ItemWrite(
                replace(write, item=one.id, items=one.of),
                manager.item_target(context.uri, one.id) if stored.per_item else context.uri,
                one.label,
                required=certain,
            )
            for one in iterations_of(items)
        ]
        if not collects:
            return self._together(manager, context, writes, note, certain=certain)
        element = note.element()
        annotation = None if element.error else element.value
        context = replace(context, annotation=annotation, contract=element.contract)
        found: list[Any] = []
        try:
            if writes:
                found = self._recorded(context, lambda one: manager.read_items(one, writes, apart=True))
        except NotWrittenError as error:  # there is no table at all
            found = [error] * len(writes)
        if missing := [i for i, one in enumerate(found) if isinstance(one, NotWrittenError)]:
            if not element.optional:
                if len(missing) == len(found):
                    if certain or note.optional:
                        raise found[0]
                    return [] if collects == "list" else {}
                raise outcomes.items_missing(context, [writes[i].label for i in missing])
            found = [None if isinstance(one, NotWrittenError) else one for one in found]
        return found if collects == "list" else by_item(items, found, note.keys, f"the parameter `{context.parameter}`")

    def _together(
        self,
        manager: IoManager,
        context: InputContext,
        writes: list[contexts.ItemWrite],
        note: Annotation,
        *,
        certain: bool,
    ) -> Any:
        """Return the combined results of all iterations.

        Without results it is empty, or None for an optional parameter. With `certain` each iteration that runs stores
        something, so NotWrittenError is raised if there are items and none was stored.
        """
        try:
            if writes:
                return self._recorded(context, lambda one: manager.read_items(one, writes, apart=False))
        except NotWrittenError:
            if note.optional or certain:
                raise
        if note.optional:
            log.info("read %s: None, since no iteration has stored anything in this run", context.parameter)
            return None
        place = writes[0].uri if writes else context.uri
        try:
            found = contracting.read(manager.empty(replace(context, uri=place, producer=None)), context)
        except NotWrittenError:
            task = context.producer.task if context.producer else ""
            raise NotWrittenError(
                f"no iteration of the task `{task}` has stored anything in this run, but the parameter "
                f"`{context.parameter}` needs it: there is nothing at {place} yet, so an empty result would have no "
                "columns",
                hint=f"annotate the parameter `{context.parameter}` with `| None` if there may be no items",
            ) from None
        log.info("read %s: empty, since no iteration has stored anything in this run", context.parameter)
        return found

    def _task_value(self, task: str, key: str, note: Annotation, parameter: str) -> Any:
        if self._is_left_out(task):
            if note.optional:
                return None
            raise self._of_not_run(task, self.not_run[task], parameter, is_table=False)
        try:
            form = task_values.get(task, key, None) if note.optional else task_values.get(task, key)
        except RunError:
            if (how := self.not_run.get(task)) is None:
                raise
            raise self._of_not_run(task, how, parameter, is_table=False) from None
        if form is None or note.value_type is None:
            return form
        try:
            return note.value_type.from_json(form)
        except ValueError as error:
            raise RunError(f"the task value `{key}` of the task `{task}` {error}") from None

    def _recorded(self, context: InputContext, read: Callable[[InputContext], Any]) -> Any:
        """Return the result of `read`, and write one line about it to the log.

        Raises NotWrittenError for a producer that was left out: it would read what an earlier attempt has stored.
        """
        if context.producer is not None and self._is_left_out(context.producer.task):
            raise outcomes.not_written(context)
        began, context = time.perf_counter(), replace(context, facts=contexts.ReadFacts())
        value = contracting.read(read(context), context)
        record.note("read", context.parameter, context.uri, context.facts, value, time.perf_counter() - began)
        return value

    def _is_left_out(self, task: str) -> bool:
        return self.not_run.get(task) in upstream.LEFT_OUT


def _session() -> Any:
    from dbxdec.io_managers.spark_session import session  # not needed by most tasks

    return session()


def _position(function: Callable[..., Any], name: str) -> int:
    return list(signatures.signature(function).parameters).index(name)


def written_by(write: WriteId, task: dag.Task, output: str) -> WriteId:
    """Return the identity, in the run of `write`, of what `task` writes to its output."""
    key = write.key if task.outputs[output].keyed else ""
    slot = slot_of(write.job, task, output) if key else ""
    return replace(write, task=task.key, output="" if output == dag.RESULT else output, key=key, slot=slot)


def slot_of(job: str, task: dag.Task, output: str) -> str:
    """Return the name of a writer among those that share its table; empty for a table with one writer."""
    return f"{job}/{task.key}/{output}" if task.outputs[output].shared else ""
