"""`dbxdec graph`."""

from __future__ import annotations

from pathlib import Path

import click

from dbxdec.cli import completion, pipelines
from dbxdec.cli.console import echo
from dbxdec.support import files, printing
from dbxdec.views import graph
from dbxdec.views import jobs as jobs_page

_FORMATS = ("mermaid", "dot", "svg", "html")
_BY_SUFFIX = {".mmd": "mermaid", ".md": "mermaid", ".dot": "dot", ".gv": "dot", ".svg": "svg", ".html": "html"}


@click.command("graph")
@click.argument("job", required=False, shell_complete=completion.jobs)
@click.option(
    "--format", "-f", "kind", type=click.Choice(_FORMATS), help="By default the one that --output ends in, or mermaid."
)
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="A file; without it, stdout.")
@click.option(
    "--wheel",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Draw this finished wheel, not the tree.",
)
@click.option("--package", metavar="NAME", help="Draw this installed pipeline, also inside a project.")
def command(job: str | None, kind: str | None, output: Path | None, wheel: Path | None, package: str | None) -> None:
    """Draw the DAG of JOB. Without JOB the project has to have a single one, but for html, which takes all.

    \b
    Examples:
      dbxdec graph daily_delays
      dbxdec graph daily_delays -o docs/daily.svg
      dbxdec graph -o dags.html
    """
    if kind is None and output is not None and output.suffix not in _BY_SUFFIX:
        raise click.UsageError(f"{output} does not tell the format: give --format, or a file in {' '.join(_BY_SUFFIX)}")
    kind = kind or (_BY_SUFFIX[output.suffix] if output else "mermaid")
    manifest = pipelines.chosen(Path.cwd(), wheel=wheel, package=package, job=job).manifest
    if job is None and (kind == "html" or len(manifest.raw_jobs) == 1):
        jobs = manifest.jobs
    elif job is None:
        raise click.UsageError(f"say which job: {', '.join(manifest.raw_jobs) or 'the project has none'}")
    else:
        jobs = [manifest.job(job)]
    if kind == "html":
        text = jobs_page.html(jobs, f"{manifest.project} {manifest.version}")
    else:
        text = {"mermaid": graph.mermaid, "dot": graph.dot, "svg": graph.standalone_svg}[kind](jobs[0])
        if output is not None and output.suffix == ".md":
            text = f"```mermaid\n{text}```\n"
    if output is None:
        echo(printing.plain(text), nl=False)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        files.deliver(output, text.encode("utf-8"))
