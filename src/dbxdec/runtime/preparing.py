"""From the arguments of a command to a task that is ready to run: its build, its job, the values of its parameters."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import ManifestError, Problem, RunError, did_you_mean, listed
from dbxdec.io_managers.base import log
from dbxdec.io_managers.contexts import Receipt, WriteId
from dbxdec.model import comparisons, dag, protocol, variables
from dbxdec.model.items import content
from dbxdec.model.trigger import Trigger
from dbxdec.model.typehints import of_parameter
from dbxdec.runtime import context, upstream
from dbxdec.runtime.absent import stand_in_for_bundles
from dbxdec.runtime.binding import Reader
from dbxdec.runtime.bodies import check_same, live
from dbxdec.runtime.execution import Execution
from dbxdec.runtime.installed import find_manifest
from dbxdec.runtime.iterations import find_iteration
from dbxdec.support import digests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dbxdec.authoring.jobs import BuiltJob
    from dbxdec.model.manifest import Manifest
    from dbxdec.runtime.no_items import Waiting

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
    leaves = list(task.leaves)
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
    if job.key_parameters:
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
        note = note.output(output)
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
