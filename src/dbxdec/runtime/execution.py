"""The phases of one task of one run: start, read, call, store."""

from __future__ import annotations

import datetime as dt
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import HandledError, ManifestError, Problem, RunError, did_you_mean, listed
from dbxdec.io_managers import base, contexts, outcomes
from dbxdec.io_managers.base import log
from dbxdec.io_managers.contexts import OutputContext, Receipt, WriteId
from dbxdec.model import comparisons, dag, places, protocol, storage_paths, variables
from dbxdec.model.items import content
from dbxdec.model.literals import UnsupportedLiteralError
from dbxdec.model.manifest import Manifest
from dbxdec.model.trigger import Trigger
from dbxdec.model.typehints import Annotation, of_parameter, returned_types
from dbxdec.runtime import blame, context, leaving, record, upstream
from dbxdec.runtime.absent import stand_in_for_bundles
from dbxdec.runtime.binding import Reader, written_by
from dbxdec.runtime.bodies import check_same, live
from dbxdec.runtime.installed import find_manifest
from dbxdec.runtime.iterations import find_iteration
from dbxdec.runtime.sparkconf import settings_of
from dbxdec.runtime.task_values import task_values
from dbxdec.support import digests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dbxdec.authoring.jobs import BuiltJob
    from dbxdec.runtime.consuming import Consuming, Plan
    from dbxdec.runtime.no_items import Waiting


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
    """What has become of its outputs."""
    consuming: Consuming | None = None
    """What it reads of tables of which it has read a part before; None for a task that reads nothing of the kind."""

    def environment(self) -> ExitStack:
        """Return the context managers for the task's own code: its context, its variables and its receipt."""
        stack = ExitStack()
        stack.enter_context(context.entered(self.run))
        stack.enter_context(variables.using(self.variables, live=True))
        named = {name: manager for name, manager in self.managers.items() if name != dag.RESULT}
        stack.enter_context(base.running(self.run.job, self.task.key, self.receipt, named))
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
            within.enter_context(base.running(self.run.job, self.task.key, self.receipt, named, own))

    @property
    def _planned(self) -> Plan | None:
        """What is new to the task; None for one that reads nothing of the kind, and before its inputs are read."""
        return None if self.consuming is None else self.consuming.plan

    @property
    def is_done(self) -> bool:
        """Whether an earlier attempt of this run has stored what the task returned: it must not be called again.

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
            result = self.function(*positional, **keyword)
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
                hint=getattr(error, "hint", None) or "correct the annotation or the result",
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
        element = note.element() if note else None
        if self.consuming is not None:
            self.consuming.note_nothing(result)
        stored = self.managers if self._planned is None else self._planned.progress
        if self.consuming is not None:
            self.consuming.share({name: self.output(name) for name in self.managers})
        written = {name: self._write(name, result[name], element) for name in stored}
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
        with blame.noted(lambda: self._blame(name)):
            written = self.managers[name].write(context, result)
        title = self._title(name)
        if written is not None and not isinstance(written, contexts.WriteResult):
            raise RunError(
                f"`{type(self.managers[name]).__name__}.write` returned a {type(written).__name__} for the task "
                f"`{self.task.key}`, not a WriteResult or None; by then it has run",
                hint="return `WriteResult(rows=...)`, or nothing",
            )
        facts = self.written[name] = written or contexts.WriteResult()
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
        returns = returned_types(self.function, named=name != dag.RESULT)
        progress = None if self._planned is None else self._planned.progress.get(name)
        receipt = replace(self.receipt, id=written_by(self.receipt.id, self.task, name), progress=progress)
        return OutputContext(uri, receipt, returns, self.run.parameters, self.reader.job.reads(self.task.key, name))


# Parameters that dbxdec has added to the job (`model/changes.py`, ADOPT and RESTART).
_OF_CHANGES = frozenset({"dbxdec_adopt", "dbxdec_restart"})


def prepare(argv: Sequence[str]) -> Execution:
    """Return the task that `argv` starts; no data is read yet. It checks the build and imports the job's module.

    Raises RunError or ManifestError, with all problems of the first step that fails. Exceptions of the imported module
    pass as they are.
    """
    arguments = protocol.parse(argv)
    manifest = find_manifest(arguments.package)
    _check_build(manifest, arguments)
    job = manifest.job(arguments.job)
    task = _find_task(job, arguments.task)
    stand_in_for_bundles()
    values = typed_parameters(job, arguments.parameters, arguments.variables, trigger_of(arguments))
    with variables.using(arguments.variables):
        built = live(job)
    check_same(task, built)
    lock = manifest.locked.id if manifest.locked is not None else ""
    not_run = {**upstream.of_platform(arguments.upstream), **upstream.not_run()}
    return ready(arguments, job, task, built, values, not_run, lock, lambda: manifest.jobs)


def ready(
    arguments: protocol.RunArguments,
    job: dag.Job,
    task: dag.Task,
    built: BuiltJob,
    values: Mapping[str, Any],
    not_run: Mapping[str, str],
    lock: str = "",
    jobs: Callable[[], Sequence[dag.Job]] | None = None,
) -> Execution:
    """Return the `task` that `arguments` start, with the live objects of `built`; `values` are the job parameters.

    `not_run` is as in `Reader`, `lock` is the digest of the pins of the build, and `jobs` returns all jobs of the
    project, by default this one. Raises RunError if the task's iteration can't be determined.
    """
    own = {name: built.managers[task.key, name] for name in task.outputs if (task.key, name) in built.managers}
    leaves = [leaf for binding in task.inputs.values() for leaf in dag.flatten(binding)]
    producers = {(leaf.task, leaf.output) for leaf in leaves if isinstance(leaf, dag.TaskOutput)}
    tables = {leaf.target for leaf in leaves if isinstance(leaf, dag.Table)}
    run = context.RunContext(
        package=arguments.package,
        build_id=arguments.build,
        workspace=arguments.workspace,
        job=job.key,
        task=task.key,
        run_id=arguments.run_id,
        attempt=arguments.attempt,
        started=trigger_of(arguments).moment,
        parameters={name: value for name, value in values.items() if name not in _OF_CHANGES},
    )
    with context.entered(run):
        iteration = find_iteration(job, task, arguments.item, values)
    item = "" if iteration is None else iteration.id
    identity = WriteId(arguments.workspace, job.key, arguments.run_id, task.key, item)
    if any(parameter.key for parameter in job.parameters):
        from dbxdec.model import run_keys

        identity = replace(
            identity, key=run_keys.of_run(job.parameters, values), items=0 if iteration is None else iteration.of
        )
    receipt = Receipt(identity, arguments.attempt, arguments.build, _digest(values, arguments.variables), lock)
    reader = Reader(
        job=job,
        parameters=values,
        managers={key: manager for key, manager in built.managers.items() if key in producers},
        tables={target: manager for target, manager in built.tables.items() if target in tables},
        certain=frozenset(one for one in producers if _always_stores(built, *one)),
        writer=identity,
        started=arguments.started,
        iteration=iteration,
        not_run=not_run,
    )
    run = replace(run, iteration=None if iteration is None else iteration.index)
    waiting: tuple[Waiting, ...] = ()
    if identity.key:
        from dbxdec.runtime.no_items import waiting_for

        waiting = waiting_for(job, task.key, built.managers)
    consuming = None
    if dag.changes_of(task):
        from dbxdec.runtime.consuming import Consuming

        jobs = jobs or (lambda: [job])
        consuming = Consuming(arguments.package, job, task, own, built.managers, built.tables, values, jobs)
        reader = replace(reader, new=consuming.read)
    function = built.tasks[task.key].fn
    return Execution(task, function, reader, receipt, own, run, arguments.variables, waiting, consuming=consuming)


def _always_stores(built: BuiltJob, key: str, output: str) -> bool:
    """Return whether the annotation of a task says that it stores something whenever it runs."""
    note = of_parameter(built.tasks[key].fn, "return")
    if note is not None and output != dag.RESULT:
        note = note.element()
    return note is not None and note.excludes_none


def moment(milliseconds: int) -> dt.datetime:
    """Return milliseconds since the epoch as a datetime in UTC."""
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)


def _check_build(manifest: Manifest, arguments: protocol.RunArguments) -> None:
    if arguments.build != manifest.build_id:
        raise ManifestError(
            f"the job was deployed from build {arguments.build[:12]}, but the installed wheel is {manifest.project} "
            f"{manifest.version} of build {manifest.build_id[:12]}",
            hint="the cluster still has another wheel: restart it, or build and deploy again",
        )


def _find_task(job: dag.Job, key: str) -> dag.Task:
    try:
        return job.task(key)
    except KeyError:
        known = [task.key for task in job.tasks]
        raise ManifestError(
            f"the job `{job.key}` has no task `{key}`",
            hint=did_you_mean(key, known) or f"its tasks are {listed(known)}",
        ) from None


def trigger_of(arguments: protocol.RunArguments) -> Trigger:
    """Return the trigger that run dates follow."""
    return Trigger.of(arguments.triggered, moment(arguments.started))


def typed_parameters(
    job: dag.Job, given: Mapping[str, str], bundle: Mapping[str, str], trigger: Trigger
) -> dict[str, Any]:
    """Return the values of all job parameters. `given` are their strings, and `bundle` the values of bundle variables.

    A parameter that the job does not declare is ignored: the bundle's target or a person added it, and the platform
    pushes it down to every task. Raises RunError with all problems.
    """
    from dbxdec.model.values import REQUIRED_TEXT

    problems = comparisons.refused_texts(job, given, bundle)
    values: dict[str, Any] = {}
    known = [parameter.name for parameter in job.parameters]
    for name in given:
        if name not in known:
            near = did_you_mean(name, known)
            log.info(
                "ignored the parameter `%s`, which the job `%s` does not declare%s",
                name,
                job.key,
                f": {near}" if near else "",
            )
    for parameter in job.parameters:
        default = trigger.text if parameter.follows else parameter.default
        text = given.get(parameter.name, default)
        if text is None or text == REQUIRED_TEXT:
            problems.append(
                Problem(
                    f"the job parameter `{parameter.name}` has no value and no default",
                    hint=f"give one when the job is started (type {parameter.type})",
                )
            )
            continue
        what = f"the job parameter `{parameter.name}`"
        if parameter.follows is not None and text == trigger.text:
            if not text or protocol.is_unresolved(text):
                log.info("`%s` follows the run's start: the platform gave no time of the trigger", parameter.name)
        elif protocol.is_unresolved(text):
            problems.append(protocol.unresolved(what, text))
            continue
        try:
            # A given value is a plain string: the bundle has resolved its variables in defaults, before the deploy.
            plain = text if parameter.name in given else variables.resolve(text, bundle)
            value = values[parameter.name] = parameter.value(plain, trigger)
            if not parameter.is_key(value):
                log.warning("%s is %s, which is no key of %s: the run counts for none", what, value, parameter.key)
        except ValueError as error:
            problems.append(Problem(f"{what} {error}", hint=parameter.type.hint_of_text))
    if problems:
        raise RunError(list(dict.fromkeys(problems)))
    return values


def _digest(parameters: Mapping[str, Any], bundle: Mapping[str, str]) -> str:
    """Return the digest of all that a repair may change; a value may be written in another way."""
    return digests.of_text(content([dict(parameters), dict(bundle)]))[:16]
