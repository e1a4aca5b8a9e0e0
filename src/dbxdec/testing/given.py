"""The input of a run in a test, and every mistake in it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError, did_you_mean, listed
from dbxdec.model import dag, secrets
from dbxdec.model.literals import TAG
from dbxdec.model.secrets import Secret
from dbxdec.model.variables import TARGET, names_in
from dbxdec.records import dataclass
from dbxdec.testing.lake import Lake, ends_of, is_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dbxdec.authoring.jobs import BuiltJob
    from dbxdec.model.literals import Json


@dataclass(frozen=True)
class Given:
    """Given results, task values and functions, by the task's key; `job/task` for a task of a job that it runs.

    `variables` and `secrets` are those of the whole run.
    """

    inputs: Mapping[str, Any]
    task_values: Mapping[str, Mapping[str, Any]]
    replace: Mapping[str, Callable[..., Any]]
    variables: Mapping[str, str]
    secrets: Mapping[str, str]

    def inside(self, key: str) -> Given:
        """Return the input of the job that the task `key` runs."""
        start = f"{key}/"

        def part(whole: Mapping[str, Any]) -> dict[str, Any]:
            return {name.removeprefix(start): value for name, value in whole.items() if name.startswith(start)}

        return replace(self, inputs=part(self.inputs), task_values=part(self.task_values), replace=part(self.replace))

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variables by which a run on this machine has secrets."""
        found = ((secrets.named(name), value) for name, value in self.secrets.items())
        return {secret.own_variable: value for secret, value in found if secret is not None}


def texts_of(variables: Mapping[str, object]) -> dict[str, str]:
    """Return values of bundle variables as a bundle would carry them."""
    texts = {}
    for name, value in variables.items():
        text = os.fspath(value) if isinstance(value, os.PathLike) else value
        texts[name] = str(text).lower() if isinstance(text, bool) else str(text)
    return {TARGET: "local", **texts}


def mistakes(job: str, built: Mapping[str, BuiltJob], given: Given, tables: Mapping[str, Any] | Lake) -> list[Problem]:
    """Return problems: names that the job does not have, and invalid values."""
    known = dict(_tasks(job, built))
    problems = []
    for option, part in (("inputs", given.inputs), ("task_values", given.task_values), ("replace", given.replace)):
        for key in part:
            if key not in known:
                hint = did_you_mean(key, known) or f"its tasks are {listed(list(known))}"
                problems.append(Problem(f"`{option}` names `{key}`, which the job `{job}` does not have", hint=hint))
    both = sorted(given.inputs.keys() & given.replace.keys())
    problems += [
        Problem(f"`{key}` is in `inputs` and in `replace`", hint="give a result or a function, not both")
        for key in both
    ]
    return [*problems, *_misspelt_variables(job, built, given), *_unknown_tables(job, built, tables), *_values(given)]


def _misspelt_variables(job: str, built: Mapping[str, BuiltJob], given: Given) -> Iterator[Problem]:
    """Yield problems of names that are nearly those of variables without a value.

    Other names that the job does not use are fine: the tests of several jobs may share their values.
    """
    used: set[str] = set()
    for one in built.values():
        used |= {*one.dag.variables, *names_in([parameter.default for parameter in one.dag.parameters])}
        for task in one.dag.tasks:
            used |= names_in(dict(task.settings)) | (set() if task.each is None else names_in(task.each.concurrency))
    for name in given.variables:
        if name not in used and (hint := did_you_mean(name, sorted(used - given.variables.keys()))):
            yield Problem(f"`variables` names `{name}`, which the job `{job}` does not use", hint=hint)


def _tasks(job: str, built: Mapping[str, BuiltJob], prefix: str = "") -> Iterator[tuple[str, dag.Task]]:
    for task in built[job].dag.tasks:
        yield prefix + task.key, task
        if task.kind == "run_job" and task.runs_job in built:
            yield from _tasks(task.runs_job, built, f"{prefix}{task.key}/")


def _unknown_tables(job: str, built: Mapping[str, BuiltJob], tables: Mapping[str, Any] | Lake) -> list[Problem]:
    """Return problems of names that are the end of no place; a lake may hold tables of other jobs."""
    if isinstance(tables, Lake):
        return []
    places = {target for one in built.values() for target in one.tables}
    outputs = [o for one in built.values() for t in one.dag.tasks for o in t.outputs.values()]
    places |= {o.target for o in outputs if o.target}
    places |= {str(o.settings["quarantine"]) for o in outputs if o.settings.get("quarantine")}
    problems = []
    for name in tables:
        found = sorted(place for place in places if is_at(place, name))
        if not found:
            hint = did_you_mean(name, {end for place in places for end in ends_of(place)})
            hint = hint or f"its tables are {listed(sorted(places)) if places else 'none'}"
            problems.append(Problem(f"`tables` names {name!r}, which `{job}` neither reads nor writes", hint=hint))
        elif len(found) > 1:
            problems.append(
                Problem(f"`tables` names {name!r}, which is {listed(found)}", hint="write more of the place")
            )
    return problems


def _values(given: Given) -> Iterator[Problem]:
    for key, values in given.task_values.items():
        try:
            if json.loads(json.dumps(values, allow_nan=False)) != values:
                raise TypeError("tuples, and keys that are not strings, would be read back as others")
        except (TypeError, ValueError) as error:
            yield Problem(f"`task_values` of `{key}` are not JSON: {error}", hint="use str, int, lists, dicts...")


def missing(
    job: str, built: Mapping[str, BuiltJob], given: Given, selected: Iterable[str], parameters: Iterable[str]
) -> list[Problem]:
    """Return problems of bundle variables and secrets that the `selected` tasks need and that have no value.

    `parameters` are the names of the given job parameters.
    """
    variables = names_in([p.default for p in built[job].dag.parameters if p.name not in set(parameters)])
    asked: dict[str, Secret] = {}
    chosen = set(selected)
    for key, task in _tasks(job, built):
        above = [key[: at.start()] for at in re.finditer("/", key)]
        fake = task.kind != "python" and key in given.replace
        if key.partition("/")[0] not in chosen or fake or not given.inputs.keys().isdisjoint([*above, key]):
            continue
        bindings = [*task.inputs.values(), *([task.each.items] if task.each else [])]
        for form in (leaf.value for one in bindings for leaf in dag.flatten(one) if isinstance(leaf, dag.Literal)):
            for tag, body in resolved_in_a_run(form):
                variables |= names_in(body) if tag == "template" else set()
                asked |= {"/".join(body): Secret(*body)} if tag == "secret" else {}
        variables |= names_in(dict(task.settings)) if task.kind in ("condition", "run_job") else set()
    names = {found.name for name in given.secrets if (found := secrets.named(name)) is not None}
    problems = without_value(variables, given)
    for name, secret in sorted(asked.items()):
        try:
            if secret.name not in names and secret.from_environment() is None:
                hint = f'secrets={{"{name}": "..."}}'
                problems.append(Problem(f"the secret `{name}` has no value in this test", hint=hint))
        except RunError as error:
            problems += error.problems
    return problems


def without_value(variables: Iterable[str], given: Given) -> list[Problem]:
    """Return problems of bundle variables without a value in the test or in the environment."""
    return [
        Problem(f"the bundle variable `{name}` has no value in this test", hint=f'variables={{"{name}": ...}}')
        for name in sorted(variables)
        if name not in given.variables and f"DBXDEC_VAR_{name}" not in os.environ
    ]


def resolved_in_a_run(form: Json) -> Iterator[tuple[str, Any]]:
    """Yield the templates and secrets inside a literal."""
    if isinstance(form, list):
        for item in form:
            yield from resolved_in_a_run(item)
    elif isinstance(form, dict):
        if form.get(TAG) in ("template", "secret"):
            yield str(form[TAG]), form["v"]
        else:
            for item in form.values():
                yield from resolved_in_a_run(item)
