"""`dbxdec run JOB`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dbxdec.cli import completion, options, records
from dbxdec.cli.app import FAILED, INTERRUPTED, WRONG_USAGE
from dbxdec.cli.builds import find
from dbxdec.cli.console import console, print_json, say
from dbxdec.cli.home import home
from dbxdec.errors import DbxdecError, Problem, noted
from dbxdec.local import earlier, ledger
from dbxdec.local.pool import interruptible
from dbxdec.platform.run_if import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from dbxdec.local.interface import JobRun


_ROWS_IN_REPORTS = 5
_A_TASK: dict[str, Any] = {"multiple": True, "metavar": "KEY", "shell_complete": completion.tasks}


class _Run(click.Command):
    """Says how parameters are given to those who write them as `dbxdec backfill` takes keys."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            extra = re.search(r"\((\w+=.*)\)$", error.message)
            if extra is None:
                raise
            given = " ".join(f"-p {shlex.quote(one)}" for one in re.split(r" (?=\w+=)", extra[1]))
            raise click.UsageError(f"{extra[1]} is not an argument: a job parameter is {given}", ctx) from None


@click.command("run", cls=_Run)
@click.argument("job", required=False, shell_complete=completion.jobs)
@options.parameters
@options.variables
@options.target(
    "Give bundle variables the values of this target of the bundle; the default is the bundle's own default."
)
@options.at_once
@click.option("--task", "tasks", **_A_TASK, help="Run only this task; may be repeated.")
@click.option("--from", "start", **_A_TASK, help="Run this task and all downstream of it; may be repeated.")
@click.option("--until", **_A_TASK, help="Run this task and all upstream of it; may be repeated.")
@click.option(
    "--replace",
    "replaced",
    multiple=True,
    metavar="KEY=COMMAND",
    callback=options.assignments,
    shell_complete=completion.replaced_tasks,
    help="Run a shell command instead of a task.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[RUN]",
    shell_complete=completion.runs,
    help="Resume a run that has not succeeded, by default the job's last: what succeeded is kept.",
)
@click.option(
    "--fresh",
    is_flag=True,
    help="First move existing local outputs of this job to .dbxdec/set_aside.",
)
@click.option(
    "--adopt",
    multiple=True,
    metavar="TASK=WHERE",
    shell_complete=completion.readers,
    help="Where a task begins that reads what is new: after a VERSION of its source; where its table does not say how "
    "far it has read, also after the `latest`, or with a `snapshot`, all rows; may be repeated.",
)
@click.option(
    "--restart",
    multiple=True,
    metavar="TASK",
    shell_complete=completion.readers,
    help="Let a task that reads what is new read all again; may be repeated.",
)
@click.option("--wheel", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Run this finished wheel.")
@click.option("--package", metavar="NAME", help="Run this installed pipeline, also inside a project.")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder that stands for remote storage; by default .dbxdec/lake.",
)
@click.option("--remote", is_flag=True, help="Read and write the remote storage itself.")
@click.option(
    "--report",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[FILE]",
    help="Write the report of the run as one HTML file.",
)
@click.option("--verbose", "-v", is_flag=True, help="In a terminal, show everything that tasks print while they run.")
@click.option("--json", "as_json", is_flag=True, help="Print the record of the run as JSON when it has ended.")
def command(
    job: str | None,
    parameters: dict[str, str],
    variables: dict[str, str],
    target: str | None,
    at_once: int,
    tasks: tuple[str, ...],
    start: tuple[str, ...],
    until: tuple[str, ...],
    replaced: dict[str, str],
    resume: str | None,
    fresh: bool,
    adopt: tuple[str, ...],
    restart: tuple[str, ...],
    wheel: Path | None,
    package: str | None,
    root: Path | None,
    remote: bool,
    report: str | None,
    verbose: bool,
    as_json: bool,
) -> None:
    """Run JOB on this machine: of the project in this folder as it is now, of a wheel, or of an installed pipeline.

    Without JOB it lists the jobs.

    Tasks run in parallel in warm processes, each with the parameters that it has on the platform. Remote places
    (abfss://, s3://, /Volumes/...) and tables of a catalog lie below .dbxdec/lake. Logs, task values and the record of
    the run stay in .dbxdec/runs.

    As on the platform a run has failed when one of its last tasks has; else it "succeeded with failures", and the exit
    code is 0. It is 1 when the run failed or the pipelines have mistakes, 2 for wrong usage or settings, 130 after
    Ctrl-C.

    \b
    Examples:
      dbxdec run daily_delays
      dbxdec run daily_delays --param day=2013-01-02 --var lake_root=/tmp/lake
      dbxdec run daily_delays --target dev --until delays -j 8
      dbxdec run daily_delays --resume
    """
    if job is None:
        _list_jobs(wheel, package, console(stderr=as_json), {"--report": report, "--resume": resume})
        raise SystemExit(WRONG_USAGE)
    from dbxdec.cli import display  # their imports take longer than `--help`
    from dbxdec.local.report import check_target
    from dbxdec.local.request import RunRequest, prepared

    here = home()
    if report:
        check_target(Path(report))
    if fresh and resume is not None:
        raise click.UsageError("--resume keeps what is there, and --fresh moves it away: choose one")
    if root is not None and remote:
        raise click.UsageError("--root replaces remote storage by a folder, and --remote uses it: choose one")
    before, mistakes = None, list[Problem]()
    if resume is not None:
        with noted(mistakes):
            before = earlier.find(here, job, resume, say)
    try:
        build, source = find(job, here, wheel, package)
        build.manifest.job(job)
    except DbxdecError as error:
        raise type(error)([*mistakes, *error.problems]) if mistakes else error from None
    request = RunRequest(
        job,
        build,
        here,
        source,
        parameters=parameters,
        variables=variables,
        target=target,
        tasks=tasks,
        start=start,
        until=until,
        replaced=replaced,
        before=before,
        fresh=fresh,
        root=root,
        remote=remote,
        at_once=at_once,
        adopt=adopt,
        restart=restart,
    )
    out = console(stderr=as_json)
    ready = prepared(request, told=say, mistakes=mistakes)
    display.show_dag(out, build.manifest, ready.job, ready.setting.variables)
    pool = ready.setting.pool
    shown = display.following(out, ready.job, verbose=verbose, stopping=lambda: pool.stopping)
    with interruptible(pool), shown as progress:
        run = ready.run(progress.listener)
    display.show_run(out, run, progress.failures)
    if report is not None:
        _report(run, report)
    if as_json:
        print_json(records.as_json(ledger.find(here, run.id)))
    if not run.succeeded:
        raise SystemExit(INTERRUPTED if run.state is State.CANCELLED else FAILED)


def _list_jobs(wheel: Path | None, package: str | None, out: Console, options: Mapping[str, str | None]) -> None:
    """List the jobs. `options` take a value if a word follows them, which may be the job that is missing."""
    from dbxdec.cli import pipelines, tables
    from dbxdec.model.dag import summary
    from dbxdec.views.texts import shortened

    manifest = pipelines.chosen(Path.cwd(), wheel=wheel, package=package).manifest
    if manifest.jobs:
        rows = [[job.key, str(len(job.tasks)), shortened(summary(job.doc) or "")] for job in manifest.jobs]
        tables.show(out, ("job", "tasks", "about"), rows, broken=("about",))
    say("say which of them to run: dbxdec run JOB" if manifest.jobs else f"{manifest.project} has no job")
    for option, value in options.items():
        if value in manifest.raw_jobs:
            say(f"`{option} {value}` takes the job for the value of {option}: dbxdec run {value} {option}")


def _report(run: JobRun, to: str) -> None:
    from dbxdec.cli import results
    from dbxdec.local.report import write

    found = ledger.find(home(), run.id)
    path = write(found, Path(to) if to else None, results.of_run(found, _ROWS_IN_REPORTS))
    say(f"the report is in {path}")
