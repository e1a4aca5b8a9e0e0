"""`dbxdec check`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dbxdec.cli import source
from dbxdec.cli.app import FAILED, WRONG_USAGE, code_of
from dbxdec.cli.console import echo, print_json, say
from dbxdec.cli.home import relative
from dbxdec.errors import DbxdecError, Problem, counted, in_order, located
from dbxdec.model import dag
from dbxdec.support import printing
from dbxdec.views import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbxdec.build.bundlechecks import Found
    from dbxdec.model.dag import Job
    from dbxdec.model.manifest import Manifest


@click.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print what is found as JSON.")
@click.option(
    "--github/--no-github",
    default=printing.in_workflow,
    help="Print annotations for GitHub's workflows; the default is whether one is running.",
)
def command(as_json: bool, github: bool) -> None:
    """Find every mistake that a build of the project in this folder would find, and build nothing.

    The exit code is 1 where there are mistakes in the pipelines, such as a variable, a notebook or a file that is not
    there, and 2 where only the project's settings or its bundle are wrong.

    \b
    Examples:
      dbxdec check
      dbxdec check --json | jq '.problems[].message'
      dbxdec check --github
    """
    errors: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()
    notes: Sequence[Problem] = ()
    code, counts = 0, {}
    found, mistaken = None, None
    try:
        found = source.of_tree(Path.cwd())
    except DbxdecError as error:
        errors, mistaken = error.problems, error
        code = code_of(error)
    else:
        warnings = found.warnings
        notes = [*_absent(found.absent), *found.notes, *_notes(found.manifest.jobs), *_passed_over(Path.cwd())]
        jobs = found.manifest.raw_jobs
        counts = {"jobs": len(jobs), "tasks": sum(len(job["tasks"]) for job in jobs.values())}
    in_bundle = _of_bundle(Path.cwd(), found.manifest if found else None, mistaken)
    if in_bundle.errors:
        errors = in_order([*errors, *in_bundle.errors])
        code = FAILED if code == FAILED or any(map(_is_of_code, in_bundle.errors)) else WRONG_USAGE
    warnings = [*warnings, *in_bundle.warnings]
    if as_json:
        print_json(
            {
                "ok": not errors,
                **counts,
                "problems": [
                    {"level": level, **_form(problem)}
                    for level, problems in (("error", errors), ("warning", warnings), ("note", notes))
                    for problem in problems
                ],
            }
        )
    else:
        _print(errors, warnings, notes, counts, printing.uncommanded if github else str)
    if github:
        for level, problems in (("error", errors), ("warning", warnings), ("notice", notes)):
            for problem in problems:
                echo(_annotation(level, problem), err=as_json)
    raise SystemExit(code)


def _notes(jobs: Sequence[Job]) -> list[Problem]:
    """Return one note for each job whose readers get less than a whole table."""
    found = []
    for job in jobs:
        reads = dag.partial_reads(job)
        if reads:
            edges = ", ".join(f"{task.key} <- {texts.binding(leaf)}" for task, _, leaf in reads)
            found.append(
                Problem(
                    f"in the job `{job.key}` these inputs are only the rows of this run, from tables that may hold "
                    f"more: {edges}",
                    job.source,
                    "`x.table` is the whole table",
                )
            )
    return found


def _passed_over(folder: Path) -> list[Problem]:
    """Return a note when the bundle around the project does not take its jobs: a deploy would say nothing."""
    from dbxdec.build import bundlechecks, config, freshness

    root = freshness.project_root(str(folder))
    settings, _ = config.sound(Path(root, "pyproject.toml")) if root is not None else (None, ())
    if root is None or settings is None:
        return []
    note = bundlechecks.passed_over(Path(root), settings.resources)
    return [] if note is None else [note]


def _absent(modules: Sequence[str]) -> list[Problem]:
    if not modules:
        return []
    message = f"not installed here, replaced by placeholders: {', '.join(modules)}"
    return [Problem(message, hint="what tasks do with them is not checked; a misspelt import looks the same")]


def _print(
    errors: Sequence[Problem],
    warnings: Sequence[Problem],
    notes: Sequence[Problem],
    counts: dict[str, int],
    safe: Callable[[str], str],
) -> None:
    for problem in errors:
        echo(safe(printing.message(str(problem))), err=True)
    for problem in warnings:
        echo(safe(printing.message(f"warning: {problem}")), err=True)
    for problem in notes:
        echo(safe(printing.message(f"note: {problem}")), err=True)
    if errors:
        say(counted(len(errors), "mistake"))
        return
    noticed = f", {counted(len(warnings), 'warning')}" if warnings else ""
    found = f"{counted(counts['jobs'], 'job')}, {counted(counts['tasks'], 'task')}"
    fine = "fine" if os.environ.get("NO_COLOR") else click.style("fine", fg="green")  # rich takes longer than a check
    echo(f"{fine}: {found}{noticed}")


def _of_bundle(folder: Path, manifest: Manifest | None, mistaken: DbxdecError | None) -> Found:
    """Return the problems of the project's bundle, and of the project's jobs in it.

    `mistaken` is why these could not be built, without which there is a `manifest`.
    """
    from dbxdec.build import bundlechecks, bundlefile, config, freshness

    root = freshness.project_root(str(folder))
    if root is None:
        return bundlechecks.Found()
    builds = bundlefile.mistakes(Path(root))
    settings, _ = config.sound(Path(root, "pyproject.toml"))  # its mistakes are among those of `mistaken`
    if settings is None:
        return bundlechecks.Found(tuple(builds))
    if manifest is not None:
        found = bundlechecks.of_project(Path(root), manifest, settings.resources)
        return bundlechecks.Found((*builds, *found.errors), found.warnings)
    assert mistaken is not None  # noqa: S101 - without it there is a manifest
    found_beside = bundlechecks.of_mistaken(Path(root), mistaken, settings.resources, settings.extra_libraries)
    return bundlechecks.Found((*builds, *found_beside))


def _is_of_code(problem: Problem) -> bool:
    """Return whether a problem is at a line of the pipelines, not in the files of the bundle or in a setting."""
    location = located(problem)
    return location is not None and location.path.endswith(".py")


def _form(problem: Problem) -> dict[str, Any]:
    place: dict[str, Any] = {}
    if location := located(problem):
        place = asdict(location)
    elif problem.where:
        place = {"path": _file(problem.where), "setting": str(problem.where)}
    return {"message": problem.message, "hint": problem.hint, **place}


def _annotation(level: str, problem: Problem) -> str:
    """Return a workflow command (docs.github.com, "Workflow commands for GitHub Actions") with repository paths."""
    properties, text = {}, problem.message
    if location := located(problem):
        properties = {"file": _in_repository(location.path), "line": str(location.line)}
    elif problem.where:
        properties, text = {"file": _in_repository(_file(problem.where))}, f"{problem.where}: {text}"
    properties["title"] = "dbxdec"
    text += f"\nhint: {problem.hint}" if problem.hint else ""
    given = ",".join(f"{name}={_escaped(value, properties=True)}" for name, value in properties.items())
    return f"::{level} {given}::{_escaped(text)}"


def _escaped(text: str, *, properties: bool = False) -> str:
    text = printing.plain(text)
    for letter in ("%", "\r", "\n", *((":", ",") if properties else ())):
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text


def _file(where: object) -> str:
    """Return the file that has a setting: that of a lock stands before its path in the file."""
    file, found, _ = str(where).partition(": ")
    return file if found else "databricks.yml" if file.startswith("databricks.yml") else "pyproject.toml"


def _in_repository(path: str) -> str:
    """Return a path of the project as GitHub knows it: from the top of the checkout."""
    from dbxdec.build.rebuild import find_project

    top = os.environ.get("GITHUB_WORKSPACE")
    root = find_project(Path.cwd())
    return Path(relative(Path(os.path.normpath(root / path)), top)).as_posix() if top else path
