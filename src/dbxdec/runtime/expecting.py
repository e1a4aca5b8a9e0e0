"""Looks at rows that are there by the expectations of their tables, and by the contracts of those who write them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import RunError
from dbxdec.io_managers.contexts import OutputContext, Receipt, WriteId
from dbxdec.io_managers.delta import judging
from dbxdec.io_managers.delta.manager import DeltaIoManager
from dbxdec.model import places, variables
from dbxdec.model.values import REQUIRED_TEXT
from dbxdec.runtime import contracting
from dbxdec.runtime.preparing import trigger_of, typed_parameters
from dbxdec.runtime.sparkconf import settings_of
from dbxdec.runtime.survey import live_job
from dbxdec.support.boundary import said

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dbxdec.model import dag
    from dbxdec.model.protocol import RunArguments


def outcomes(arguments: RunArguments, outputs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return of each output its table, and how its expectations come out, or why they can't be evaluated (`why`).

    So do the rules of the contract of the task that writes it. `needs` are job parameters that conditions name, and
    that have no value.
    """
    job, built = live_job(arguments)
    with variables.using(arguments.variables, live=True):
        found: list[dict[str, Any]] = []
        for key, name in outputs:
            manager: Any = built.managers[key, name]
            uri = places.resolved(job.task(key).outputs[name].target or "")
            if not isinstance(manager, DeltaIoManager):
                found.append({"uri": uri, "why": "only the rows of Delta tables can be judged by a contract here"})
                continue
            named = manager.parameters_of_conditions()
            # Of other parameters no value is needed.
            few = replace(job, parameters=tuple(one for one in job.parameters if one.name in named))
            given = arguments.parameters
            if needs := [
                one.name for one in few.parameters if given.get(one.name, one.default) in (None, REQUIRED_TEXT)
            ]:
                found.append({"uri": uri, "needs": needs})
                continue
            try:
                values = typed_parameters(few, given, arguments.variables, trigger_of(arguments))
            except RunError as error:
                found.append({"uri": uri, "why": "; ".join(one.message for one in error.problems)})
                continue
            body = built.tasks[key].fn
            found.append(_of_one(job, (key, name), uri, manager, values, body))
    return {"tables": found}


def _of_one(
    job: dag.Job,
    asked: tuple[str, str],
    uri: str,
    manager: Any,
    values: Mapping[str, Any],
    function: Callable[..., Any],
) -> dict[str, Any]:
    task, name = asked
    try:
        contract = contracting.of_output(function, task, name, job.task(task).outputs[name])
        receipt = Receipt(WriteId("local", job.key, "expect", task), 1, "", "")
        context = OutputContext(uri, receipt, None, values, contract=contract)
        conf = settings_of(job.task(task)) if job.task(task).spark_conf else nullcontext()
        with conf:  # a time zone, say, changes what a condition means
            outcomes = manager.outcomes_there(context)
        if outcomes is None:
            return {"uri": uri, "why": "there is no table yet"}
    except Exception as error:  # noqa: BLE001 - one table costs no other
        return {"uri": uri, "why": said(error)}
    told = [{"name": name, **one.facts(), "why": one.why} for name, one in judging.named(outcomes).items()]
    return {"uri": uri, "outcomes": told}
