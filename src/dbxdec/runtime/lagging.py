"""The distance of a job's tasks from the tables of which they read what is new, as the logs tell."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.contexts import InputContext, OutputContext, Receipt, WriteId
from dbxdec.io_managers.delta.manager import DeltaIoManager
from dbxdec.io_managers.delta.progress import Consumer, with_nothing
from dbxdec.io_managers.positions import Span
from dbxdec.model import dag, places, variables
from dbxdec.runtime.installed import find_manifest
from dbxdec.runtime.sources import sharing
from dbxdec.runtime.survey import live_job
from dbxdec.support.boundary import said

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbxdec.authoring.jobs import BuiltJob
    from dbxdec.io_managers.base import IoManager
    from dbxdec.io_managers.delta.progress import Standing
    from dbxdec.model.protocol import RunArguments


def lags(arguments: RunArguments) -> dict[str, Any]:
    """Return of each reader of something new its task, parameter and source, and how far it is (`lags`).

    `read` is the version up to which all its outputs have it, `newest` that of the source; they are absent where there
    is nothing. `rows` and `since`, the time in ms of the oldest commit that is new, are there where the log tells them.
    `why` says why it can't be told.
    """
    job, built = live_job(arguments)
    jobs = cache(lambda: find_manifest(arguments.package).jobs)
    with variables.using(arguments.variables, live=True):
        found = [
            {"task": task.key, "parameter": name, **_lag(arguments, job, task, built, name, jobs)}
            for task in job.tasks
            for name in dag.changes_of(task)
        ]
    return {"lags": found}


def _lag(
    arguments: RunArguments,
    job: dag.Job,
    task: dag.Task,
    built: BuiltJob,
    name: str,
    jobs: Callable[[], Sequence[dag.Job]],
) -> dict[str, Any]:
    binding, changes = dag.changes_of(task)[name]
    if isinstance(binding, dag.Table):
        manager, target = built.tables[binding.target], binding.target
    else:
        manager = built.managers[binding.task, binding.output]
        target = job.task(binding.task).outputs[binding.output].target or ""
    uri = places.resolved(target)
    try:
        reader, place = _by_log(manager, uri)
        context = InputContext(place, name, changes=changes)
        head = reader.head(context)
        last = _read(arguments.package, job, task, built, name, jobs)
        read = None if last is None else last.until
        found: dict[str, Any] = {"source": uri, "read": read}
        if head is None:
            return found
        found["newest"] = head.version
        if last is not None and last.source != head.id:
            return {**found, "why": "the source is another table than the one that the task has read"}
        if last is not None and not head.has(last, head.stamps([last.until])):
            return {**found, "why": "the source was put back to an older copy than the one that the task has read"}
        span = Span(head.id, read, head.version, opened=head.opened)
        if not span.is_empty:
            found |= reader.behind(replace(context, span=span))
    except Exception as error:  # noqa: BLE001 - one table costs no other
        return {"source": uri, "why": said(error)}
    return found


def _read(
    package: str,
    job: dag.Job,
    task: dag.Task,
    built: BuiltJob,
    name: str,
    jobs: Callable[[], Sequence[dag.Job]],
) -> Span | None:
    """Return the last span of a source that all outputs of a task have; None if one of them has nothing of it."""
    standings: dict[str, Standing] = {}
    targets = {name: places.resolved(stored.target or "") for name, stored in task.outputs.items()}
    for output, target in targets.items():
        reader, place = _by_log(built.managers[task.key, output], target)
        receipt = Receipt(WriteId("local", job.key, "lag", task.key), 1, "", "")
        beside = frozenset(other for other, there in targets.items() if there == target) - {output}
        consumer = Consumer(package, job.key, task.key, output, beside, sharing(job, task, output, jobs))
        standings[output] = reader.standing(OutputContext(place, receipt), consumer)
    spans = []
    for output, standing in with_nothing(standings).items():
        span = standing.cursor.read.get(name) if standing.cursor is not None else None
        has_others = standing.cursor is not None and name not in standing.cursor.absent
        if span is None and (standing.is_strange or has_others):
            raise RunError(f"{targets[output]} has rows, and nothing says up to where the task has read")
        spans.append(span)
    known = [span for span in spans if span is not None]
    return min(known, key=lambda span: span.until) if len(known) == len(spans) else None


def _by_log(manager: IoManager, uri: str) -> tuple[DeltaIoManager, str]:
    assert isinstance(manager, DeltaIoManager)  # noqa: S101 - the build has checked it
    return manager.reader_of_log(uri)
