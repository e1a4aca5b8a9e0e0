"""Values that a job gets from outside, and with which one of its tasks would fail: they are found before it runs.

They are strings: of job parameters, also those that another job passes on, and of bundle variables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbxdec.errors import Problem
from dbxdec.model import comparisons, items
from dbxdec.model.dag import MAX_CONCURRENCY
from dbxdec.model.variables import names_in, only_name_in, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dbxdec.model import dag


def refused(job: dag.Job, texts: Mapping[str, str], variables: Mapping[str, str]) -> list[Problem]:
    """Return the problems of strings of some job parameters, and of some bundle variables."""
    return [
        *_of_other_types(job, texts),
        *comparisons.refused_texts(job, texts, variables),
        *items.refused(job, texts),
        *_at_once(job, variables),
    ]


def passed(task: dag.Task, other: dag.Job, variables: Mapping[str, str]) -> list[Problem]:
    """Return the problems of what `task` passes to the job `other`, where that is known before the run."""
    texts = {
        name: resolve(text, variables)
        for name, text in task.passes.items()
        if text and "{{" not in text and names_in(text) <= variables.keys()  # a mistake in the call leaves ""
    }
    return [
        Problem(f"the task `{task.key}` runs the job `{other.key}`, but {problem.message}", hint=problem.hint)
        for problem in refused(other, texts, {})
    ]


def _of_other_types(job: dag.Job, texts: Mapping[str, str]) -> Iterator[Problem]:
    for parameter in job.parameters:
        if parameter.name in texts:
            try:
                parameter.value(texts[parameter.name], names=True)
            except ValueError as error:
                yield Problem(f"the job parameter `{parameter.name}` {error}", hint=parameter.type.hint_of_text)


def _at_once(job: dag.Job, variables: Mapping[str, str]) -> Iterator[Problem]:
    for task in job.tasks:
        at_once = task.each.concurrency if task.each is not None else None
        name = only_name_in(at_once) if isinstance(at_once, str) else None
        if name is not None and name in variables:
            text = variables[name]
            if not (text.isdecimal() and len(text) < 4 and 1 <= int(text) <= MAX_CONCURRENCY):
                yield Problem(
                    f"the bundle variable `{name}` is {text!r:.60}",
                    hint=f"give it a number from 1 to {MAX_CONCURRENCY}: the task `{task.key}` has it as concurrency",
                )
