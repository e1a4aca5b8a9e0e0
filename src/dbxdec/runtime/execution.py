"""The phases of one task of one run: start, read, call, store."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import ExpectationError, HandledError, ManifestError, RunError, listed
from dbxdec.io_managers import base, contexts, outcomes
from dbxdec.io_managers.base import log
from dbxdec.io_managers.contexts import OutputContext, Receipt
from dbxdec.io_managers.frames.connections import one_connection
from dbxdec.io_managers.running import running
from dbxdec.model import comparisons, dag, places, storage_paths, variables
from dbxdec.model.literals import UnsupportedLiteralError
from dbxdec.model.typehints import Annotation, of_parameter, returned_types
from dbxdec.records import dataclass
from dbxdec.runtime import blame, context, contracting, leaving, record
from dbxdec.runtime.binding import Reader, written_by
from dbxdec.runtime.sparkconf import settings_of
from dbxdec.runtime.task_values import task_values
from dbxdec.support import environment, streams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dbxdec.runtime.consuming import Consuming, Plan
    from dbxdec.runtime.no_items import Waiting

_NO_RETURN = "end the function with `return ...`, or annotate `| None` if there may be no value"


@dataclass(frozen=True)
class Execution:
    """A task that is ready to run. Use it inside `environment()`."""

    task: dag.Task
    function: Callable[..., Any]
    reader: Reader
    receipt: Receipt
    managers: Mapping[str, base.IoManager]
    run: context.RunContext
    variables: Mapping[str, str]
    waiting: tuple[Waiting, ...] = ()
    """The tables with keys of for-each tasks that take their items from this task."""
    written: dict[str, contexts.WriteResult] = field(default_factory=dict)
    """The results of its writes."""
    consuming: Consuming | None = None
    """The plan for tables of which it has read a part before; None for a task that reads nothing of the kind."""

    def environment(self) -> ExitStack:
        """Return the context managers for the task's own code: its context, its variables and its receipt."""
        stack = ExitStack()
        stack.enter_context(environment.kept())
        stack.enter_context(places.kept())
        stack.enter_context(one_connection())
        stack.enter_context(context.entered(self.run))
        stack.enter_context(variables.using(self.variables, live=True))
        named = {name: manager for name, manager in self.managers.items() if name != dag.RESULT}
        stack.enter_context(running(self.receipt, named))
        return stack

    def read(self, within: ExitStack | None = None) -> tuple[list[Any], dict[str, Any]]:
        """Check the targets, then return the function's arguments. Raises RunError before anything is changed.

        The Spark session has the task's own settings from here on until `within` is closed.
        """
        with leaving.refused(f"the task `{self.task.key}`", " while its inputs were read"):
            return self._read(within)

    def _read(self, within: ExitStack | None) -> tuple[list[Any], dict[str, Any]]:
        managers = [*self.managers.values(), *self.reader.managers.values(), *self.reader.tables.values()]
        for manager in {id(manager): manager for manager in managers}.values():
            manager.check_name()
            manager.setup()
        if self.task.spark_conf and within is not None:
            within.enter_context(settings_of(self.task))
        for name, manager in self.managers.items():
            manager.preflight(self.output(name))
        if self.consuming is not None:
            self._plan(self.consuming, within)
            if self.is_done:
                return [], {}
        with blame.noted(lambda: f"raised while the inputs of the task `{self.task.key}` were read, before its call"):
            return self.reader.arguments(self.task, self.function)

    def read_by_others(self, within: ExitStack) -> None:
        """Take what is new as read, for a result that a test gives; where that can't be told, nothing is."""
        if self.consuming is not None:
            with suppress(RunError):
                self._plan(self.consuming, within)

    def _plan(self, consuming: Consuming, within: ExitStack | None) -> None:
        """Find out what is new to the task; its own commits from here on say how far it has read."""
        consuming.begin({name: self.output(name) for name in self.managers}, self.function)
        if within is not None:
            named = {name: manager for name, manager in self.managers.items() if name != dag.RESULT}
            own = {"" if name == dag.RESULT else name: one for name, one in consuming.begun.progress.items()}
            within.enter_context(running(self.receipt, named, own))

    @property
    def _planned(self) -> Plan | None:
        """The plan for new rows; None for a task that reads nothing of the kind, and before its inputs are read."""
        return None if self.consuming is None else self.consuming.plan

    @property
    def is_done(self) -> bool:
        """True if an earlier attempt of this run has stored what the task returned: it must not be called again.

        It would read what is new by now, and that belongs to the next run.
        """
        return self._planned is not None and self._planned.is_done

    def skip(self) -> None:
        """Do what is left of a task that an earlier attempt of this run has done."""
        assert self._planned is not None  # noqa: S101 - `is_done`
        for name, result in self._planned.done.items():
            record.note("write", self._title(name), self.output(name).uri, result, None, 0.0)
        log.info("the task `%s` is not called again: this run has stored its result", self.task.key)
        self._leave_dates()

    def call(self, positional: list[Any], keyword: dict[str, Any]) -> Any:
        """Return what the function returns; its exceptions pass as they are."""
        began = time.perf_counter()
        with leaving.refused(f"the task `{self.task.key}`"), blame.ending_at_the_author():
            try:
                result = self.function(*positional, **keyword)
            finally:
                streams.keep_numbers()  # a function may have closed them, as by `sys.stdout.close()`
        log.info("call %s: %.2f s", self.task.key, time.perf_counter() - began)
        return result

    def store(self, result: Any) -> None:
        """Keep `result`, and check that the task has set all values that tasks of the platform's own kinds refer to."""
        self._check_left(ours=False)  # before anything is written
        self.keep(result)
        self._check_left()
        for one in self.waiting:
            if task_values.left.get(one.key) == []:
                one.note(self.receipt, self.run.parameters)

    def keep(self, result: Any) -> None:
        """Keep `result` through the task's IoManager or as a task value, and leave dates that other tasks get."""
        with leaving.refused(f"the task `{self.task.key}`", " while its result was stored"):
            self._keep(result)

    def _keep(self, result: Any) -> None:
        outputs = self.task.outputs
        if not outputs:
            if result is not None:
                log.info("the task `%s` returned a %s, which nothing stores", self.task.key, type(result).__name__)
        elif dag.RESULT not in outputs:
            self._write_named(result)
        elif dag.RESULT in self.managers:
            self._write(dag.RESULT, result, of_parameter(self.function, "return"))
        else:
            self._set_task_value(result)
        self._leave_dates()

    def _leave_dates(self) -> None:
        job = self.reader.job
        for name in comparisons.dates_of(job, self.task.key):
            kind = next(parameter.type for parameter in job.parameters if parameter.name == name)
            task_values.leave(dag.DATE_OF + name, kind.to_text(self.run.parameters[name]))

    def end(self) -> None:
        """Raise HandledError if the task is the job's failure handler, so that the run stays failed."""
        if self.task.on_failure:
            raise HandledError(
                "handled; the run has failed tasks",
                hint="the failure handler ends with an error, so that the platform calls the run failed; "
                "`on_failure=handled(...)` lets it succeed",
            )

    def _check_left(self, *, ours: bool = True) -> None:
        """Raise RunError if values that tasks of the platform's own kinds refer to are missing or ambiguous."""
        if self.task.each is None and (
            problems := comparisons.refused_values(self.reader.job, self.task.key, task_values.left, ours=ours)
        ):
            raise RunError(problems)

    def _set_task_value(self, result: Any) -> None:
        kind = self.task.outputs[dag.RESULT].type
        if kind is None:
            raise ManifestError(f"the result of the task `{self.task.key}` has neither an IoManager nor a type")
        try:
            form = kind.to_json(result)
        except RecursionError:
            raise RunError(
                f"the task `{self.task.key}` returned a value that is nested too deeply for JSON",
                hint="make it flat, or store it as a table through an IoManager",
            ) from None
        except UnsupportedLiteralError as error:
            raise RunError(
                f"the task `{self.task.key}` has neither an IoManager nor a return annotation, so its result is passed "
                f"as a task value: {error}",
                hint="give it an IoManager (`@task(io_manager=...)`), or return a type that task values can have: str, "
                "int, float, bool, None, dates, lists and dicts of them",
            ) from None
        except TypeError as error:
            raise RunError(
                f"the task `{self.task.key}` returned a value that its annotation does not allow: {error}",
                hint=getattr(error, "hint", None)
                or (_NO_RETURN if result is None else "correct the annotation or the result"),
            ) from None
        task_values.set(dag.RETURN_VALUE, form)
        try:
            strings = comparisons.strings_of(self.reader.job, self.task.key, kind, result)
        except TypeError as error:
            raise RunError(f"the task `{self.task.key}` returned a value that can't be compared: {error}") from None
        for key, text in strings.items():
            task_values.leave(key, text)
        record.note_value(self.task.key, form)

    def _write_named(self, result: Any) -> None:
        """Store a dict with exactly the keys of the task's outputs; write nothing if it has other keys."""
        names = set(self.managers)
        given = set(result) if isinstance(result, dict) else None
        if given != names:
            got = f"a {type(result).__name__}" if given is None else f"a dict with the keys {sorted(map(str, given))}"
            raise RunError(
                f"the task `{self.task.key}` returned {got}, but its outputs are {listed(sorted(names))}",
                hint="return a dict with exactly these keys; a value may be None where its annotation says so",
            )
        note = of_parameter(self.function, "return")
        if self.consuming is not None:
            self.consuming.note_nothing(result)
            self.consuming.share({name: self.output(name) for name in self.managers})
        stored = self.managers if self._planned is None else self._planned.progress
        written = {name: self._write(name, result[name], note.output(name) if note else None) for name in stored}
        earlier = [name for name, one in written.items() if outcomes.is_earlier(one)]
        if earlier and len(earlier) < len(written):
            log.warning(
                "an earlier attempt has written %s of the task `%s`, and this one %s: they belong together only if the "
                "function returns the same rows each time",
                listed(earlier),
                self.task.key,
                listed([name for name in written if name not in earlier]),
            )

    def _write(self, name: str, result: Any, note: Annotation | None) -> contexts.WriteResult:
        began = time.perf_counter()
        context = self.output(name)
        if result is None and note and note.excludes_none:
            raise RunError(
                f"the task `{self.task.key}` returned None, but is annotated `{note.text}`",
                hint="return the result, or annotate `| None` if there may be nothing to write",
            )
        if result is None and self.consuming is not None:
            self.consuming.refuse_none(name, context)
        manager = self.managers[name]
        title = self._title(name)
        try:
            with blame.noted(lambda: self._blame(name)), contracting.written(result, context, manager) as stored:
                written = manager.write(context, stored.value)
        except ExpectationError as error:
            if error.expectations:
                record.note_refused(title, context.uri, error.expectations)
            raise
        if written is not None and not isinstance(written, contexts.WriteResult):
            raise RunError(
                f"`{type(manager).__name__}.write` returned a {type(written).__name__} for the task "
                f"`{self.task.key}`, not a WriteResult or None; by then it has run",
                hint="return `WriteResult(rows=...)`, or nothing",
            )
        facts = written or contexts.WriteResult()
        if stored.rules and not outcomes.is_earlier(facts):  # the numbers of an earlier attempt may be others
            facts = replace(facts, expectations={**facts.expectations, **stored.rules})
        self.written[name] = facts
        record.note("write", title, context.uri, facts, result, time.perf_counter() - began)
        return facts

    def _title(self, name: str) -> str:
        return self.task.key if name == dag.RESULT else f"{self.task.key}[{name}]"

    def _blame(self, name: str) -> str:
        what = "result" if name == dag.RESULT else f"output `{name}`"
        where = blame.returned_at(self.function)
        return f"raised while the {what} of the task `{self.task.key}` was stored, returned at {where}"

    def output(self, name: str) -> OutputContext:
        """Return the context for the write of the output `name`."""
        output = self.task.outputs[name]
        uri = places.resolved(output.target) if output.target else ""
        if places.is_databricks() and storage_paths.is_ours(output.io) and storage_paths.is_relative(uri):
            raise RunError(
                f"the task `{self.task.key}` would store its result in {uri}, a relative path: it would be on the "
                "disk of this machine and lost with it",
                hint="deploy with a path on cloud storage (s3://, abfss://, gs://) or in a volume",
            )
        if output.per_item and self.reader.iteration is not None:
            uri = self.managers[name].item_target(uri, self.reader.iteration.id)
        returns = returned_types(self.function, name)
        progress = None if self._planned is None else self._planned.progress.get(name)
        receipt = replace(self.receipt, id=written_by(self.receipt.id, self.task, name), progress=progress)
        contract = contracting.of_output(self.function, self.task.key, name, output)
        read = self.reader.job.reads(self.task.key, name)
        return OutputContext(uri, receipt, returns, self.run.parameters, read, contract)
