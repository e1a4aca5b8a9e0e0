"""`dbxdec expect TABLE`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from dbxdec.cli import options, pipelines
from dbxdec.cli.app import FAILED
from dbxdec.cli.builds import find
from dbxdec.cli.console import console, escape, print_json, say
from dbxdec.cli.home import home
from dbxdec.cli.missing import CANT_TELL
from dbxdec.errors import Problem, RunError, did_you_mean, listed
from dbxdec.local.variables import local_values
from dbxdec.model.variables import resolve

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from dbxdec.model.dag import Job, Output, Task
    from dbxdec.model.manifest import Manifest

_OPTIONS = ("expect", "expect_or_drop", "expect_or_fail")


@click.command("expect")
@click.argument("table")
@options.parameters
@options.target("Look at the table of this target of the bundle, where it is; by default at that of local runs.")
@options.variables
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(
    table: str, parameters: dict[str, str], target: str | None, variables: dict[str, str], as_json: bool
) -> None:
    """Show how the expectations of TABLE come out for the rows that it has now. Nothing is written.

    So do the rules of the contract of the task that writes it. TABLE is the name of a table, or its end. Conditions
    with parameters of the job, such as `:day`, get their values by -p, or else the defaults.

    The exit code is 1 where a row is there that should have been dropped or have failed the write, 3 where the table
    can't be read, otherwise 0.

    \b
    Examples:
      dbxdec expect silver/flights
      dbxdec expect flights -p day=2024-01-31 --target prod --json
    """
    # Their imports take longer than `--help`.
    from dbxdec.local.parameters import check_parameters, needs_value
    from dbxdec.local.question import Question, answer_of

    here = home()
    manifest = pipelines.chosen(here).manifest
    found = _of_table(manifest, table, _known_values(manifest, variables, here, target))
    build, _ = find(found[0][0].key, here, None, None)
    _refuse_unknown(parameters, {parameter.name for job, _, _ in found for parameter in job.parameters})
    names = {name for job, _, _ in found for name in job.variables}
    question = Question.of(build, names, variables, here, target)
    told = []
    for job, task, output in found:
        given = tuple(one for one in job.parameters if one.name in parameters)
        known = {one.name: parameters[one.name] for one in given}
        check_parameters(replace(job, parameters=given), known, question.variables)
        answer = answer_of(build.manifest.job(job.key), question, [(task.key, output)], expects=known)
        told.append({"job": job.key, "task": task.key, **answer["tables"][0]})
    lacking = {
        parameter.name: needs_value(parameter)
        for (job, _, _), one in zip(found, told, strict=True)
        for parameter in job.parameters
        if parameter.name in one.get("needs", ())
    }
    if lacking:
        raise RunError(list(lacking.values()))
    if as_json:
        print_json({"tables": told})
    else:
        for one in told:
            _show(one, question.short(one["uri"]))
    if any("why" in one for one in told):
        raise SystemExit(CANT_TELL)
    if any(_is_broken(one) for table_ in told for one in table_["outcomes"]):
        raise SystemExit(FAILED)


def _refuse_unknown(parameters: Collection[str], known: Collection[str]) -> None:
    """Raise RunError for parameters that no job has which writes the table."""
    problems = [
        Problem(
            f"no job that writes the table has a parameter `{name}`",
            hint=did_you_mean(name, known) or f"there are {listed(sorted(known)) or 'none'}",
        )
        for name in parameters
        if name not in known
    ]
    if problems:
        raise RunError(problems)


def _is_broken(outcome: dict[str, Any]) -> bool:
    return outcome["why"] is not None or bool(outcome["action"] in ("dropped", "quarantined") and outcome["failed"])


def _known_values(
    manifest: Manifest, variables: Mapping[str, str], here: Path, target: str | None
) -> Mapping[str, str]:
    """Return the values of the bundle variables of all jobs that have one here."""
    found: dict[str, str] = {}
    for name in sorted({name for job in manifest.jobs for name in job.variables}):
        with suppress(RunError):  # it may be one of another table
            found |= local_values({name}, variables, here, target)
    return found


def _of_table(manifest: Manifest, table: str, values: Mapping[str, str]) -> list[tuple[Job, Task, str]]:
    """Return the writers of a table that expect something of its rows, also by a contract."""

    def resolved(target: str) -> str:
        try:
            return resolve(target, values)
        except RunError:  # a variable has no value here
            return target

    expecting: dict[str, list[tuple[Job, Task, str]]] = {}
    for job in manifest.jobs:
        for task in job.tasks:
            for name, output in task.outputs.items():
                if output.target is not None and _expects(output):
                    expecting.setdefault(resolved(output.target), []).append((job, task, name))
    ends = (f"/{table}", f".{table}")
    places = [place for place in expecting if place in (table, resolved(table)) or place.endswith(ends)]
    if len(places) == 1:
        return expecting[places[0]]
    if places:
        raise RunError(f"{table!r} is the end of {listed(places)}", hint="write more of it")
    hint = did_you_mean(table, [place.rpartition("/")[2] for place in expecting])
    known = f"those that do are {listed(list(expecting))}" if expecting else "`io.table(..., expect={...})`"
    raise RunError(f"no task writes a table {table!r} that expects something of its rows", hint=hint or known)


def _expects(output: Output) -> bool:
    return output.contract is not None or any(output.settings.get(option) for option in _OPTIONS)


def _show(told: dict[str, Any], table: str) -> None:
    from dbxdec.cli import tables

    out = console()
    out.print(f"[bold]{escape(table)}[/] of {escape(told['job'])}.{escape(told['task'])}")
    if "why" in told:
        say(f"{table}: its expectations can't be evaluated: {told['why']}")
        return
    if not told["outcomes"]:
        say(f"{table}: its columns are those of the contract, which has no rules on values")
        return
    rows: list[list[tables.Cell]] = [
        [
            one["name"],
            f"{one['failed']:,}",
            f"{one['rows']:,}",
            ("broken", "red")
            if _is_broken(one)
            else ("counted", "yellow")
            if one["failed"] or one.get("broken")
            else ("met", "green"),
            one["why"] or "",
        ]
        for one in told["outcomes"]
    ]
    titles = ("expectation", "failed", "of", "", "why")
    tables.show(out, titles, rows, right=("failed", "of"), broken=("expectation", "why"))
