"""The completions of a shell: names from existing local files, since a shell must not wait for a project to be read."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.shell_completion import CompletionItem

from dbxdec.build.wheels import read_manifest
from dbxdec.cli.home import home
from dbxdec.errors import DbxdecError
from dbxdec.local import ledger
from dbxdec.model.dag import run_order
from dbxdec.model.manifest import MAX_BYTES, PATH, Manifest, decode
from dbxdec.platform.run_if import State
from dbxdec.support.files import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

    from dbxdec.local.history import Run

_LOOKED_AT = 200
"""The number of runs that a shell waits for."""


def jobs(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return keys of jobs."""
    found = _manifest(context)
    keys = list(found.raw_jobs) if found else dict.fromkeys(run.job for run in islice(ledger.runs(home()), _LOOKED_AT))
    return [CompletionItem(key) for key in keys if key.startswith(incomplete)]


def tasks(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return keys of the tasks of the job on the command line."""
    form = _job(context)
    order = [task.key for task in run_order(form)] if form else []
    return [CompletionItem(key) for key in order if key.startswith(incomplete)]


def replaced_tasks(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return `key=` of tasks: first those that only the platform runs, then the others."""
    form = _job(context)
    order = sorted(run_order(form), key=lambda task: task.kind != "native") if form else []
    return [CompletionItem(f"{task.key}=") for task in order if task.key.startswith(incomplete)]


def parameters(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return `name=` of the job's parameters."""
    form = _job(context)
    names = [p.name for p in form.parameters] if form else []
    return [CompletionItem(f"{name}=") for name in names if name.startswith(incomplete)]


def readers(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the tasks of the job that read what is new; for `--adopt` with a `=`."""
    from dbxdec.model.beginnings import readers

    job, end = _job(context), "=" if parameter.name == "adopt" else ""
    found = [] if job is None else readers(job)
    return [CompletionItem(f"{key}{end}") for key in found if key.startswith(incomplete)]


def variables(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return `name=` of the bundle variables that the job uses."""
    form = _job(context)
    return [CompletionItem(f"{name}=") for name in (form.variables if form else ()) if name.startswith(incomplete)]


def targets(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the targets of the bundle around the working directory."""
    from dbxdec.local import targets as bundle

    try:
        found = bundle.names(home())
    except DbxdecError:
        return []
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]


def runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return ids of runs, the newest first, and "last"; for `--resume`, of those of the job that have not succeeded."""
    job = _job_key(context)
    resuming = parameter.name == "resume"
    kept = []
    for run in islice(ledger.runs(home(), job), _LOOKED_AT):
        with suppress(DbxdecError):  # its record is damaged
            if not resuming or (run.state != "success" and not run.is_inner):
                kept.append((run, run.state))
    found = [CompletionItem(run.id, help=f"{run.job} {state}") for run, state in kept]
    found += [] if resuming or not kept else [CompletionItem("last", help="the newest")]
    return [item for item in found if item.value.startswith(incomplete)]


def results(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return keys of the tasks of a run that have stored a result; `a/b` is the task `b` of the job that `a` runs."""
    name = next(iter(context.args), None) or context.params.get("run")  # unread while an option waits for its value
    try:
        found = _stored(ledger.find(home(), name or "last"))
        return [CompletionItem(key) for key in found if key.startswith(incomplete)]
    except DbxdecError:
        return []


def _stored(run: Run, path: str = "") -> Iterator[str]:
    ended = run.tasks()
    for task in run_order(run.dag):
        if task.outputs and ended.get(task.key, {}).get("state") == State.SUCCESS:
            yield path + task.key
        if (inner := run.inner(task.key)) is not None:
            yield from _stored(ledger.find(home(), inner), f"{path}{task.key}/")


def _job(context: click.Context) -> Any:
    found, job = _manifest(context), _job_key(context)
    return found.job(job) if found is not None and job is not None and job in found.raw_jobs else None


def _job_key(context: click.Context) -> str | None:
    """Return the argument JOB; click leaves it unread while an option after it still waits for its value."""
    given = [context.params.get("job"), *context.args]
    return next((str(text) for text in given if text), None)


def _manifest(context: click.Context) -> Manifest | None:
    """Return the manifest of `--wheel`, or of the newest build that was run or made here."""
    wheel = context.params.get("wheel")
    here = home()
    places = [
        *([Path(wheel)] if wheel else []),
        *sorted(
            [*(here / STATE_FOLDER / "builds").glob("*"), *(here / "dist").glob("*.whl")],
            key=lambda path: path.stat().st_mtime,
            reverse=True,
        ),
    ]
    return next((found for place in places for found in _read(place)), None)


def _read(place: Path) -> Iterator[Manifest]:
    with suppress(OSError, DbxdecError):
        if not place.is_dir():
            yield read_manifest(place)
            return
        for path in place.glob(f"*.dist-info/extra_metadata/{PATH}"):
            with path.open("rb") as file:
                yield decode(file.read(MAX_BYTES + 1), str(path))
