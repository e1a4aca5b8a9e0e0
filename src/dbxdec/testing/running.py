"""Runs a job inside the process of a test: one task after another, by the rules of `dbxdec run`."""

from __future__ import annotations

import heapq
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import DbxdecError, HandledError, NotWrittenError, RunError, counted
from dbxdec.io_managers.contexts import InputContext
from dbxdec.local.flow import Flow
from dbxdec.local.undoing import undone
from dbxdec.model import branches, dag, protocol, signatures
from dbxdec.model.trigger import Trigger
from dbxdec.model.typehints import Annotation
from dbxdec.model.values import REQUIRED_TEXT
from dbxdec.model.variables import names_in
from dbxdec.model.variables import resolve as resolve_variables
from dbxdec.model.variables import using as using_variables
from dbxdec.platform import known as known_references
from dbxdec.platform import references, status
from dbxdec.platform.run_if import State, failed
from dbxdec.runtime import context, leaving, preparing
from dbxdec.runtime.iterations import all_items
from dbxdec.runtime.task_values import MemoryStore, task_values
from dbxdec.testing.arguments import check_call
from dbxdec.testing.lake import copied, detached
from dbxdec.testing.results import JobResult, TaskResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from dbxdec.authoring.jobs import BuiltJob
    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.contexts import WriteId
    from dbxdec.runtime.execution import Execution
    from dbxdec.testing.given import Given
    from dbxdec.testing.lake import Lake

_ABSENT: Any = object()
_BUILD = "in a test"
_PLAIN = Annotation("", Any)


class Run:
    """One run of one job; `texts` are its parameters as the platform would carry them, `started` is in milliseconds."""

    def __init__(
        self, job: str, built: Mapping[str, BuiltJob], given: Given, lake: Lake, *, number: str, started: int
    ) -> None:
        self._built, self._given, self._lake = built, given, lake
        self._all, self._one_job = built, built[job]
        self._job = self._one_job.dag
        self._uncertain = branches.uncertain(self._job)
        self._number, self._started = number, started
        self._values = MemoryStore()
        for key, values in given.task_values.items():
            for name, value in values.items():
                self._values.set(key, name, value)
        self._position = {task.key: i for i, task in enumerate(self._job.tasks)}
        self._turns: list[int] = []
        self._results: dict[str, TaskResult] = {}

    def run(self, parameters: Mapping[str, str], selected: frozenset[str]) -> JobResult:
        """Run the `selected` tasks; tasks with given results count as done."""
        # As on the platform the bundle's variables are resolved in defaults; a given value is a plain string.
        defaults = {p.name: p.default for p in self._job.parameters if p.name not in parameters}
        filled = {name: text and resolve_variables(text, self._given.variables) for name, text in defaults.items()}
        texts = {p.name: filled.get(p.name) for p in self._job.parameters} | dict(parameters)
        pushed_down = {name: REQUIRED_TEXT if text is None else text for name, text in texts.items()}
        known = known_references.of_run(self._job.key, self._number, self._started, pushed_down)
        self._flow = Flow(self._job, self._given.variables, known)
        self._selected = selected
        self._texts = {name: references.resolve(text, known) for name, text in pushed_down.items()}
        trigger = Trigger.of(known["job.trigger.time.iso_datetime"], preparing.moment(self._started))
        with using_variables(self._given.variables):
            self._parameters = preparing.typed_parameters(self._job, self._texts, self._given.variables, trigger)
        self._flow.drive(self)
        stored = frozenset(task.key for task in self._job.tasks if task.outputs)
        ordered = {task.key: self._results[task.key] for task in self._job.tasks}
        return JobResult(self._job.key, ordered, self._parameters, self._lake, stored, self._flow.upstream)

    def begin(self, task: dag.Task) -> None:
        """Keep `task` until its turn: the author's order decides among tasks that may start."""
        heapq.heappush(self._turns, self._position[task.key])

    def wait(self) -> str:
        """Run the task whose turn it is, and return its key."""
        task = self._job.tasks[heapq.heappop(self._turns)]
        state = self._flow.instead(task) if task.key in self._selected else State.DESELECTED
        result = self._task(task) if state is None else TaskResult(task.key, state)
        self._results[task.key] = result
        self._flow.end(task.key, result.state, self._values.of(task.key))
        return task.key

    def _task(self, task: dag.Task) -> TaskResult:
        given = self._given.inputs.get(task.key, _ABSENT)
        if given is not _ABSENT:
            with self._kept(), _told_of(f"inputs[{task.key!r}]"):
                return self._taken_as_done(task, given)
        try:
            with self._kept():
                if task.key not in self._given.replace or task.each is not None:
                    self._flow.refuse_absent(task, self._flow.known, self._flow.not_run(task))
                return self._python(task) if task.kind == "python" else self._other(task)
        except Exception as error:  # noqa: BLE001 - of the author's function: the caller raises it, or shows it
            return self._failed(task, task.key, error)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        with task_values.kept_in(self._values), undone():
            yield

    def _failed(self, task: dag.Task, title: str, error: Exception) -> TaskResult:
        # A query fails when it is run: by then the traceback no longer has the task's own lines.
        error.add_note(f"raised by the task `{title}` of the job `{self._job.key}`, {task.source}")
        return TaskResult(title, State.FAILED, error=error.with_traceback(_of_the_author(error.__traceback__)))

    # Tasks that are functions

    def _python(self, task: dag.Task) -> TaskResult:
        if task.each is None:
            return self._call(task, task.key, {})
        found = self._flow.iterations(task, self._flow.known)
        ended = []
        for i, known in enumerate(found):
            title = f"{task.key}[{i}]"
            try:
                with undone():
                    ended.append(self._call(task, title, known))
            except Exception as error:  # noqa: BLE001 - as above
                ended.append(self._failed(task, title, error))
        state = State.FAILED if any(failed(one.state) for one in ended) else State.SUCCESS
        return TaskResult(
            task.key,
            state,
            error=next((one.error for one in ended if one.error is not None), None),
            iterations=tuple(ended),
            load=lambda: [one.value for one in ended],
        )

    def _call(self, task: dag.Task, title: str, known: Mapping[str, str]) -> TaskResult:
        __tracebackhide__ = True
        ready = self._ready(task, known)
        with ready.environment() as within:
            positional, keyword = ready.read(within)
            bound = signatures.signature(ready.function).bind(*positional, **keyword)
            reads = {name: copied(value) for name, value in bound.arguments.items() if name in task.inputs}
            function = self._given.replace.get(task.key, ready.function)
            if function is not ready.function:
                check_call(task.key, function, positional, keyword)
            result = replace(ready, function=function).call(positional, keyword)
            ready.store(result)
        done = self._done(ready, title, result, reads)
        try:
            ready.end()
        except HandledError as error:
            return replace(done, state=State.FAILED, error=error, load=None)
        return done

    def _ready(self, task: dag.Task, known: Mapping[str, str]) -> Execution:
        """Return the start of a task, with exactly the parameters that the platform would give it."""
        package = self._job.module.partition(".")[0]
        own = protocol.task_parameters(package, _BUILD, self._job.key, task, self._uncertain.get(task.key, ()))
        own = {name: text for name, text in own.items() if names_in(text) <= self._given.variables.keys()}
        known = {**self._flow.known, **known, "task.name": task.key, "task.execution_count": "1"}
        texts = {**{name: self._flow.resolved(text, known) for name, text in own.items()}, **self._texts}
        arguments = protocol.parse([f"--{name}={text}" for name, text in texts.items()])
        not_run = self._flow.not_run(task)
        # On the platform each task reads the parameters anew: a list that one changes is not the next one's.
        parameters = copied(self._parameters)
        ready = preparing.ready(arguments, self._job, task, self._one_job, parameters, not_run)
        return replace(ready, variables=self._given.variables)

    def _done(self, ready: Execution, title: str, result: Any, reads: Mapping[str, Any]) -> TaskResult:
        iteration = ready.reader.iteration
        left = self._values.of(title)
        left = {key: value for key, value in left.items() if key not in dag.RESULTS and not key.startswith(dag.DATE_OF)}
        return TaskResult(
            title,
            State.SUCCESS,
            reads=reads,
            task_values=left,
            item=None if iteration is None else iteration.value(_PLAIN, "the item"),
            expectations=_expectations(ready),
            load=self._loader(ready, result),
        )

    def _loader(self, ready: Execution, result: Any) -> Callable[[], Any]:
        """Return a function that gives the task's stored result, or its return value when it stores no table."""
        if not ready.managers:
            kept = copied(result)
            return lambda: copied(kept)
        with ready.environment():
            contexts = {name: ready.output(name) for name in ready.managers}

        def value(name: str) -> Any:
            found = contexts[name]
            return self._written(ready.managers[name], found.uri, found.receipt.id)

        if dag.RESULT in ready.managers:
            return lambda: value(dag.RESULT)
        return lambda: {name: value(name) for name in contexts}

    def _written(self, manager: IoManager, uri: str, writer: WriteId) -> Any:
        """Return the value that one write has stored, for a merge the table; None when it had nothing to write."""
        try:
            with leaving.refused(f"the task `{writer.task}`", " while its result was read"):
                return detached(manager.read(InputContext(uri, "value", None, writer, self._started)))
        except NotWrittenError:
            return None

    # Results from the test

    def _taken_as_done(self, task: dag.Task, value: Any) -> TaskResult:
        if task.kind == "condition":
            if not isinstance(value, bool):
                raise RunError(
                    f"it is {value!r:.60}, but a condition is either true or false", hint="give True or False"
                )
            self._flow.take_branch(task.key, bool(value))
            return TaskResult(task.key, State.SUCCESS, load=lambda: value)
        if not task.outputs:
            if value is not None:
                raise RunError("the task stores nothing, so it has no result to give", hint="give None")
            return TaskResult(task.key, State.SUCCESS, load=lambda: None)
        if task.each is None:
            return self._store(self._ready(task, {}), task.key, value)
        found = self._flow.iterations(task, self._flow.known)
        ended = [
            self._store(self._ready(task, known), f"{task.key}[{i}]", one)
            for i, (known, one) in enumerate(zip(found, self._by_item(task, value, len(found)), strict=True))
        ]
        return TaskResult(task.key, State.SUCCESS, iterations=tuple(ended), load=lambda: [one.value for one in ended])

    def _by_item(self, task: dag.Task, value: Any, count: int) -> list[Any]:
        """Return the given results of iterations, in order."""
        assert task.each is not None  # noqa: S101 - the caller has looked
        with using_variables(self._given.variables), context.entered(self._ready_context(task)):
            items = [item.value(_PLAIN, "the item") for item in all_items(self._job, task.each, self._parameters)]
        if isinstance(value, dict):
            missing = [item for item in items if item not in value]
            if missing or len(value) > len(items):
                raise RunError(f"it has results for {list(value)}, and the items are {items}")
            return [value[item] for item in items]
        if not isinstance(value, list) or len(value) != count:
            raise RunError(
                f"the task runs for {counted(count, 'item')}, and {_in_words(value)} is given",
                hint="give a list with a result for each item, in their order, or a dict by item",
            )
        return value

    def _ready_context(self, task: dag.Task) -> context.RunContext:
        return context.RunContext(
            package=self._job.module.partition(".")[0],
            build_id=_BUILD,
            workspace="local",
            job=self._job.key,
            task=task.key,
            run_id=self._number,
            attempt=1,
            started=preparing.moment(self._started),
            parameters=self._parameters,
        )

    def _store(self, ready: Execution, title: str, value: Any) -> TaskResult:
        with ready.environment() as within:
            ready.read_by_others(within)
            ready.keep(value)  # the test gives as `task_values` what the task's function would set
        return self._done(ready, title, value, {})

    # Tasks of the platform's own kinds

    def _other(self, task: dag.Task) -> TaskResult:
        fields = self._fields(task.settings)
        fake = self._given.replace.get(task.key)
        if fake is not None:
            check_call(task.key, fake, [fields], {})
            with context.entered(self._ready_context(task)), using_variables(self._given.variables):
                value = fake(fields)
        elif task.kind == "condition":
            value, _ = self._flow.decide(task, self._flow.known)
        elif task.kind == "run_job":
            return self._run_other(task, fields)
        else:
            left = self._values.of(task.key)
            return TaskResult(task.key, State.SKIPPED, fields=fields, task_values=left)
        if task.kind == "condition":
            self._flow.take_branch(task.key, bool(value))
        left = self._values.of(task.key)
        return TaskResult(task.key, State.SUCCESS, fields=fields, task_values=left, load=lambda: value)

    def _fields(self, value: Any) -> Any:
        """Return the fields of a task with the known variables and references resolved."""
        if isinstance(value, dict):
            return {key: self._fields(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._fields(item) for item in value]
        if isinstance(value, str):
            known = names_in(value) <= self._given.variables.keys()
            now = self._flow.known
            return self._flow.resolved(value, now) if known else references.resolve(value, now)
        return value

    def _run_other(self, task: dag.Task, fields: Mapping[str, Any]) -> TaskResult:
        given = fields["run_job_task"].get("job_parameters", {})
        number = f"{self._number}.{task.key}"
        inside = Run(
            task.runs_job, self._all, self._given.inside(task.key), self._lake, number=number, started=self._started
        )
        run = inside.run(given, frozenset(other.key for other in self._all[task.runs_job].dag.tasks))
        if run.state in status.SUCCEEDED:
            return TaskResult(task.key, State.SUCCESS, fields=fields, run=run, load=lambda: None)
        return TaskResult(task.key, run.state, fields=fields, error=run.error, run=run)


def _expectations(ready: Execution) -> dict[str, Any]:
    found = {name: dict(one.expectations) for name, one in ready.written.items() if one.expectations}
    return found.get(dag.RESULT, found)


def _in_words(value: Any) -> str:
    """Describe a value of the wrong kind: a frame's own string has many lines."""
    return f"a list of {counted(len(value), 'result')}" if isinstance(value, list) else f"one {type(value).__name__}"


@contextmanager
def _told_of(what: str) -> Iterator[None]:
    try:
        yield
    except DbxdecError as error:
        error.add_note(f"`{what}` is what the test gives")
        raise


def _of_the_author(trace: TracebackType | None) -> TracebackType | None:
    """Return the traceback from the author's own code on; None when only dbxdec's ran."""
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] == "dbxdec":
        trace = trace.tb_next
    return trace
