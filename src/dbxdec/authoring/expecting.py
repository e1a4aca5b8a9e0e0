"""Expectations of tables, as far as the build can check them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.model import dag
from dbxdec.model.checks import place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.authoring.nodes import Call
    from dbxdec.model.values import ValueType


def check(call: Call, parameters: Mapping[str, ValueType]) -> None:
    """Note conditions that can't be evaluated in a run of the job, which has these parameters."""
    for name, manager in call.managers.items():
        what = "the result" if name == dag.RESULT else f"the output `{name}`"
        for problem in manager.condition_problems(parameters):
            message = f"{what} of the task `{call.key}` can't be checked: {problem.message}"
            call.recorder.problem(message, problem.hint, call.where)
        quarantine, job = getattr(manager, "quarantine", None), call.recorder.job
        kept, target = (one and one.template(job, call.key) for one in (quarantine, manager))
        if kept and target and place(kept) == place(target):
            call.recorder.problem(
                f"{what} of the task `{call.key}` goes into the table that is its own quarantine",
                'name another table for rows that are left out: `quarantine=lake.table("bad/flights")`',
                call.where,
            )
