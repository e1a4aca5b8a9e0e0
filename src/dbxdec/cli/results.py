"""The first rows of a run's stored results, found and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbxdec.cli import builds as which
from dbxdec.cli import tables
from dbxdec.cli.console import escape
from dbxdec.cli.home import home
from dbxdec.errors import DbxdecError
from dbxdec.local import builds
from dbxdec.local.results import FirstRows, first_rows, outputs_of
from dbxdec.model.dag import RESULT
from dbxdec.model.job_forms import encode_jobs
from dbxdec.platform.run_if import State
from dbxdec.runtime.installed import installed_manifests
from dbxdec.support.files import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from dbxdec.local.builds import Build
    from dbxdec.local.history import Run

_SLOW = "spark"


def of_task(run: Run, task: str, rows: int) -> list[FirstRows]:
    """Return the first rows of each output of a task. Raises RunError when it has stored none."""
    outputs = outputs_of(run, task)
    return first_rows(run, _build_of(run, [task]), home(), outputs, rows)


def of_run(run: Run, rows: int) -> dict[str, list[FirstRows]]:
    """Return the first rows of all tasks that have stored a table, by task; without Spark, which starts slowly."""
    ended = run.tasks()
    outputs = [
        (task.key, name)
        for task in run.dag.tasks
        for name, output in task.outputs.items()
        if output.io is not None
        and _SLOW not in output.io.lower()
        and ended.get(task.key, {}).get("state") == State.SUCCESS
    ]
    if not rows or not outputs:
        return {}
    found: dict[str, list[FirstRows]] = {}
    for one in first_rows(run, _build_of(run, [task for task, _ in outputs]), home(), outputs, rows):
        found.setdefault(one.task, []).append(one)
    return found


def show(out: Console, run: Run, found: Sequence[FirstRows]) -> None:
    """Print each output under a line that says where it is."""
    facts = [fact for event in run.standing for fact in event.get("facts", ()) if fact["kind"] == "write"]
    places = {fact["name"]: fact for fact in facts}
    for one in found:
        fact = places.get(one.task if one.output == RESULT else f"{one.task}[{one.output}]", {})
        words = [tables.short(str(fact["uri"]))] if fact.get("uri") else []
        words += [f"version {fact['version']}"] if fact.get("version") is not None else []
        out.print(f"[bold]{escape(one.title)}[/] {escape(', '.join(words))}".rstrip())
        if one.why:
            out.print(f"  it can't be shown: {escape(one.why)}")
        else:
            cells = [[_words(cell) for cell in row] for row in one.rows]
            tables.show(out, one.columns, cells, broken=one.columns)
            out.print("" if one.rows else "no rows", style="dim")


def as_json(found: Sequence[FirstRows]) -> list[dict[str, Any]]:
    """Return the first rows for a program."""
    return [
        {"task": one.task, "output": one.output, "columns": list(one.columns), "rows": [list(row) for row in one.rows]}
        if not one.why
        else {"task": one.task, "output": one.output, "error": one.why}
        for one in found
    ]


def _words(cell: Any) -> str:
    if cell is None or isinstance(cell, bool):
        return "null" if cell is None else str(cell).lower()
    return " ".join(str(cell).split("\n"))


def _build_of(run: Run, tasks: Sequence[str]) -> Build | None:
    """Return the build of the run; else the current project, when its tasks store the same in the same places."""
    build_id = run.head["build_id"]
    if (found := builds.kept(home() / STATE_FOLDER, build_id)) is not None:
        return found
    for manifest in installed_manifests()[0]:
        if manifest.build_id == build_id:
            return builds.Build(manifest)
    try:
        build, _ = which.find(run.job, home(), None, None)
        job = build.manifest.job(run.job)
    except DbxdecError:
        return None
    then, now = (_stored(form) for form in (run.definition, encode_jobs([job])[job.key]))
    return build if all(task in now and now[task] == then.get(task) for task in tasks) else None


def _stored(job: Mapping[str, Any]) -> dict[str, Any]:
    return {form["key"]: (form["outputs"], form.get("each")) for form in job["tasks"]}
