"""Keys that a person says a table has, or takes back: identifiers in its log, without rows."""

from __future__ import annotations

import datetime as dt
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.delta import key_log
from dbxdec.io_managers.delta.manager import DeltaIoManager
from dbxdec.model import places, run_keys, variables
from dbxdec.records import dataclass
from dbxdec.runtime.binding import slot_of
from dbxdec.runtime.survey import live_job
from dbxdec.support.boundary import said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbxdec.io_managers.base import IoManager
    from dbxdec.model import dag
    from dbxdec.model.protocol import RunArguments


@dataclass(frozen=True)
class Change:
    """A change for `keys`, as a log has them: to say that they are there, or with `forget` to take them back.

    With `from_partitions` only those of which a table has the partition. With `dry` it is only told.
    """

    keys: Sequence[str]
    forget: bool = False
    from_partitions: bool = False
    dry: bool = False


def changed(arguments: RunArguments, outputs: Sequence[tuple[str, str]], change: Change) -> dict[str, Any]:
    """Return of each table its place and the keys that are changed, or why none can be (`why`)."""
    job, built = live_job(arguments)
    with variables.using(arguments.variables, live=True):
        tables = [_one(job, job.task(task), output, built.managers[task, output], change) for task, output in outputs]
    return {"tables": tables}


def _one(job: dag.Job, task: dag.Task, output: str, manager: IoManager, change: Change) -> dict[str, Any]:
    uri = places.resolved(task.outputs[output].target or "")
    found: dict[str, Any] = {"uri": uri, "keys": []}
    if task.outputs[output].per_item or not isinstance(manager, DeltaIoManager):
        return {**found, "why": "it is no Delta table with keys"}
    slot = slot_of(job.key, task, output)
    try:
        log = manager.key_log(uri)
        if log is None:  # which has nothing to forget
            return found if change.forget else {**found, "why": "it does not exist yet"}
        told = log.told()
        done, begun = key_log.done(told.standing, slot)
        wanted = _of_partitions(job, manager, uri) if change.from_partitions else None
        # A log has a key as it was called and ordered then.
        spelled: dict[str, list[str]] = {}
        for text in {*done, *begun, *told.untold(slot)} if change.forget else done:
            spelled.setdefault(_today(job, text), []).append(text)
        keys = [key for key in change.keys if (key in spelled) == change.forget and (wanted is None or key in wanted)]
        if keys and not change.dry:
            moment = time.time_ns() // 1_000_000
            own = "" if output == "result" else output
            manager.note_keys(
                uri,
                [
                    key_log.forgotten(slot, text)
                    if change.forget
                    else key_log.marked(slot, text, job=job.key, task=task.key, output=own, moment=moment)
                    for key in keys
                    for text in (spelled[key] if change.forget else [key])
                ],
            )
    except Exception as error:  # noqa: BLE001 - one table costs no other
        return {**found, "why": said(error)}
    return {**found, "keys": keys}


def _today(job: dag.Job, text: str) -> str:
    """Return a key of a log with today's names and order of parameters; as it is if it has not all of them."""
    found = run_keys.of_today(text, job.parameters)
    return text if found is None else run_keys.written(found)


def _of_partitions(job: dag.Job, manager: DeltaIoManager, uri: str) -> set[str]:
    """Return the keys of which the table has a partition. Raises RunError if its partitions are no keys."""
    parameters = job.key_parameters
    columns, parts = manager.partition_keys(uri)
    by_name = {column.lower(): i for i, column in enumerate(columns)}
    names = [parameter.name.lower() for parameter in parameters]
    if all(name in by_name for name in names):
        at = [by_name[name] for name in names]
    elif len(columns) == len(parameters) == 1:
        at = [0]
    else:
        raise RunError(f"its partitions, {list(columns)}, are not the keys {[one.name for one in parameters]}")
    found = set()
    for part in parts:
        texts = [_text(parameter, part[i]) for parameter, i in zip(parameters, at, strict=True)]
        for parameter, text, i in zip(parameters, texts, at, strict=True):
            if _is_within_a_period(parameter, text):
                raise RunError(f"its partition {part[i]} is no key of {parameter.key}")
        found.add(run_keys.written({one.name: text for one, text in zip(parameters, texts, strict=True)}))
    return found


def _text(parameter: dag.JobParameter, value: str) -> str:
    """Return the string of a key as a log has it, from that of a partition; another string as it is."""
    with suppress(ValueError):
        if parameter.type.kind == "date":
            return parameter.key_text(dt.date.fromisoformat(value[:10]))
        if parameter.type.kind == "datetime":
            moment = dt.datetime.fromisoformat(value)
            return parameter.key_text(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))
        if parameter.type.kind == "decimal":  # with as many digits as the column has
            return parameter.key_text(parameter.type.from_text(value))
    return value


def _is_within_a_period(parameter: dag.JobParameter, text: str) -> bool:
    """Return whether a partition is a moment that is no key: it would be a part of one, such as a day of a month."""
    try:
        return parameter.key is not None and parameter.key.is_period and not parameter.is_key(parameter.value(text))
    except ValueError:
        return False  # no moment at all, such as null
