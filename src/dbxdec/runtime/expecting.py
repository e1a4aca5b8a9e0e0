"""How the expectations of tables come out for the rows that they have now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import DbxdecError
from dbxdec.io_managers.contexts import OutputContext, Receipt, WriteId
from dbxdec.model import places, variables
from dbxdec.runtime.preparing import trigger_of, typed_parameters
from dbxdec.runtime.survey import live_job
from dbxdec.support.masking import Mask, of_this_machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dbxdec.model import dag
    from dbxdec.model.protocol import RunArguments


def outcomes(arguments: RunArguments, outputs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return of each output its table, and how its expectations come out, or why they can't be evaluated (`why`)."""
    job, built = live_job(arguments)
    with variables.using(arguments.variables, live=True):
        values = typed_parameters(job, arguments.parameters, arguments.variables, trigger_of(arguments))
        found = [_of_one(job, job.task(key), name, built.managers[key, name], values) for key, name in outputs]
    return {"tables": found}


def _of_one(job: dag.Job, task: dag.Task, output: str, manager: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    uri = places.resolved(task.outputs[output].target or "")
    mask = Mask(of_this_machine())
    try:
        context = OutputContext(uri, Receipt(WriteId("local", job.key, "expect", task.key), 1, "", ""), None, values)
        judge = replace(manager.judge(context), there=lambda: None)
        rows = manager.rows_there(context)
        if rows is None:
            return {"uri": uri, "why": "there is no table yet"}
        outcomes = judge.for_schema(rows.collect_schema()).outcomes(rows, rows)
    except DbxdecError as error:
        return {"uri": uri, "why": mask.text("; ".join(one.message for one in error.problems))}
    except Exception as error:  # noqa: BLE001 - of a library: one table costs no other
        return {"uri": uri, "why": mask.text(f"{type(error).__name__}: {error}".splitlines()[0])}
    told = [{"name": one.expectation.name, **one.facts(), "why": one.why} for one in outcomes]
    return {"uri": uri, "outcomes": told}
