"""`dbxdec run JOB`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dbxdec.cli import report
from dbxdec.cli.app import FAILED
from dbxdec.cli.console import console
from dbxdec.errors import ManifestError, did_you_mean, listed
from dbxdec.local.runner import Listener, check_parameters, run_job, variables_of
from dbxdec.local.variables import local_values
from dbxdec.runtime.installed import find_manifest, installed_manifests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbxdec.manifest import Manifest

_INTERRUPTED = 130


def _assignments(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """`name=value` texts as a dict; the last of a name wins."""
    pairs = [value.partition("=") for value in values]
    for value, (name, equals, _) in zip(values, pairs, strict=True):
        if not name or not equals:
            raise click.BadParameter(f"{value!r} is not of the form NAME=VALUE", context, option)
    return {name: text for name, _, text in pairs}


@click.command("run")
@click.argument("job")
@click.option(
    "--param",
    "-p",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_assignments,
    help="A job parameter, as text.",
)
@click.option(
    "--var",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_assignments,
    help="The value of a bundle variable.",
)
@click.option("--package", help="The pipeline's distribution, where several define the job.")
def command(job: str, parameters: dict[str, str], variables: dict[str, str], package: str | None) -> None:
    """Run JOB of a pipeline whose wheel is installed here.

    Each task is a process of its own, started with the parameters that the job has on the platform. Task values,
    logs and a record of the run stay in .dbxdec/ of the working directory. The exit code is 1 when a task failed.

    \b
    Examples:
      dbxdec run daily_delays
      dbxdec run daily_delays --param day=2013-01-02 --var lake_root=/tmp/lake
    """
    manifest = _find(job, package)
    found = manifest.job(job)
    texts = check_parameters(found, parameters)
    values = local_values(variables_of(manifest, found), variables, Path.cwd())
    out = console()
    report.show_dag(out, manifest, found, values)
    listener = Listener(
        started=lambda key: report.show_start(out, key),
        printed=lambda key, line: report.show_line(out, key, line),
        ended=lambda task: report.show_end(out, task),
    )
    run = run_job(manifest, found, parameters=texts, variables=values, folder=Path.cwd(), listener=listener)
    report.show_run(out, run)
    if not run.succeeded:
        interrupted = any(task.state.name == "CANCELLED" for task in run.tasks)
        raise SystemExit(_INTERRUPTED if interrupted else FAILED)


def _find(job: str, package: str | None) -> Manifest:
    """The manifest that defines `job`. Raises ManifestError where none or several do."""
    if package is not None:
        return find_manifest(package)
    manifests = installed_manifests()
    owners = [manifest for manifest in manifests if job in manifest.raw_jobs]
    if len(owners) == 1:
        return owners[0]
    if owners:
        names = listed([manifest.project for manifest in owners])
        raise ManifestError(f"{names} all define the job `{job}`", hint="say which: `--package NAME`")
    raise ManifestError(f"no pipeline that is installed here defines the job `{job}`", hint=_jobs_hint(job, manifests))


def _jobs_hint(job: str, manifests: Iterable[Manifest]) -> str:
    known = [key for manifest in manifests for key in manifest.raw_jobs]
    if not known:
        return "no pipeline is installed: build its wheel (`hatch build`) and install it with pip"
    return did_you_mean(job, known) or f"jobs are {listed(known)}"
