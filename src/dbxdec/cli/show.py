"""`dbxdec show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbxdec.cli import completion, pipelines, tables
from dbxdec.cli.console import console, escape, print_json
from dbxdec.errors import counted
from dbxdec.model.dag import run_order, summary
from dbxdec.views import texts

if TYPE_CHECKING:
    from rich.console import Console

    from dbxdec.model.dag import Job
    from dbxdec.model.manifest import Manifest


@click.command("show")
@click.argument("job", required=False, shell_complete=completion.jobs)
@click.option(
    "--wheel",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Show this finished wheel, not the tree.",
)
@click.option("--package", metavar="NAME", help="Show this installed pipeline, also inside a project.")
@click.option("--json", "as_json", is_flag=True, help="Print the jobs as the manifest has them (manifest.schema.json).")
def command(job: str | None, wheel: Path | None, package: str | None, as_json: bool) -> None:
    """Show the jobs of the project in this folder, or one JOB with its tasks, inputs, targets and parameters.

    \b
    Examples:
      dbxdec show
      dbxdec show daily_delays
      dbxdec show --wheel dist/my_pipeline-1.0-py3-none-any.whl --json
    """
    manifest = pipelines.chosen(Path.cwd(), wheel=wheel, package=package, job=job).manifest
    if job is not None:
        manifest.job(job)  # its error lists the existing jobs
    if as_json:
        keys = [job] if job is not None else list(manifest.raw_jobs)
        facts = {"project": manifest.project, "version": manifest.version, "build_id": manifest.build_id}
        print_json({**facts, "jobs": {key: manifest.raw_jobs[key] for key in keys}})
        return
    out = console()
    out.print(f"[bold]{escape(manifest.project)}[/] {manifest.version}, build {manifest.build_id[:12]}")
    if job is None:
        _list(out, manifest)
    else:
        _show(out, manifest.job(job))


def _list(out: Console, manifest: Manifest) -> None:
    rows = []
    for job in manifest.jobs:
        schedule = job.settings.get("schedule") or job.settings.get("trigger") or job.settings.get("continuous") or {}
        texts_of = (
            [str(value) for _, value in texts.settings(schedule)] if isinstance(schedule, dict) else [str(schedule)]
        )
        parameters = ", ".join(parameter.name for parameter in job.parameters)
        about = texts.shortened(summary(job.doc) or "")
        rows.append([job.key, str(len(job.tasks)), parameters, " ".join(texts_of), str(job.source), about])
    titles = ("job", "tasks", "parameters", "schedule", "defined at", "about")
    tables.show(out, titles, rows, broken=titles[2:])


def _show(out: Console, job: Job) -> None:
    out.print(f"\n[bold]{escape(job.key)}[/]  {job.source}, {counted(len(job.tasks), 'task')}")
    for line in (job.doc or "").splitlines():
        out.print(f"  {escape(line)}".rstrip())
    for name, value in texts.settings(job.settings):
        out.print(f"  [dim]{escape(name)}[/] {escape(value)}")
    for kind, found in (("cluster", job.clusters), ("environment", job.environments)):
        for key in found:
            out.print(f"  [dim]{kind}[/] {escape(key)}")
    if job.parameters:
        rows = [[p.name, str(p.type), texts.parameter(p)] for p in job.parameters]
        out.print()
        tables.show(out, ("parameter", "type", "default"), rows, broken=("type", "default"))
    for task in run_order(job):
        out.print(f"\n[bold]{escape(task.key)}[/]  [dim]{escape(texts.kind(task))}, {task.source}[/]")
        if about := summary(task.doc):
            out.print(f"  {escape(about)}")
        for name, text in texts.facts(task, job):
            out.print(f"  [dim]{escape(name)}[/] {escape(text)}")
