"""Warnings of expectations that don't hold what they seem to promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import Problem
from dbxdec.model import dag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbxdec.model.dag import Job, Output


def unchecked_rows(job: Job) -> Iterator[Problem]:
    """Yield a warning for each number of rows that a task needs not store, since it may return None."""
    for task in job.tasks:
        for output, found in task.outputs.items():
            if not found.may_be_none:
                continue
            what = "" if output == dag.RESULT else f" for the output `{output}`"
            for name in _least_rows(found):
                yield Problem(
                    f"the task `{task.key}` may return None{what}, which stores nothing and is not checked, so the "
                    f'expectation "{name}", rows(at_least=...), holds only for the rows of other runs',
                    task.called_at or task.source,
                    "take `| None` from its annotation, and return a frame without rows instead of None; or take "
                    "`at_least=` from the expectation",
                )


def _least_rows(output: Output) -> Iterator[str]:
    rules = output.settings.get("expect_or_fail")
    if not isinstance(rules, dict):
        return
    for name, rule in rules.items():
        rows = rule.get("rows") if isinstance(rule, dict) else None
        if isinstance(rows, dict) and rows.get("at_least"):
            yield name
