"""`dbxdec missing`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from dbxdec.cli import completion, options, pipelines
from dbxdec.cli.app import FAILED
from dbxdec.cli.builds import find
from dbxdec.cli.console import console, escape, print_json, say
from dbxdec.cli.home import home
from dbxdec.errors import Problem, RunError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from dbxdec.local.missing import Key, Keys

CANT_TELL = 3
"""Exit code: of some keys it can't be told whether they are there."""


@click.command("missing")
@click.argument("job", required=False, shell_complete=completion.jobs)
@options.target("Look at the tables of this target of the bundle, where they are; by default at those of local runs.")
@click.option(
    "--on-platform",
    is_flag=True,
    help="Ask the platform for tables that this machine can't read, such as those of Unity Catalog: it starts a "
    "one-time run of the deployed wheel, which reads their logs.",
)
@options.workspace
@options.variables
@click.option("--json", "as_json", is_flag=True, help="Print the keys as JSON.")
def command(
    job: str | None,
    target: str | None,
    on_platform: bool,
    job_id: int | None,
    host: str | None,
    profile: str | None,
    variables: dict[str, str],
    as_json: bool,
) -> None:
    """Show which keys of JOB, or of all jobs with keys, are missing: which days, weeks, hours or other values.

    The logs of the tables tell. They say that the data of a key is there, not that its run succeeded.

    The exit code is 0 where nothing is missing, 1 where a key is missing or only some tables have it, 3 where a table
    can't be read: what it has can't be told.

    \b
    Examples:
      dbxdec missing
      dbxdec missing delays --target prod --json
      dbxdec missing delays -t prod --on-platform
    """
    from dbxdec.local.missing import keys_of, variables_of  # their imports take longer than `--help`
    from dbxdec.local.question import Question

    if target is None and (on_platform or job_id is not None or host is not None or profile is not None):
        raise click.UsageError("--on-platform, --job-id, --host and --profile are about a target: name it by --target")
    here = home()
    build = None if job is None else find(job, here, None, None)[0]
    manifest = pipelines.chosen(here).manifest if build is None else build.manifest
    jobs = [manifest.job(job)] if job is not None else list(manifest.jobs)
    keyed = [one for one in jobs if one.key_parameters]
    if not keyed:
        what = f"the job `{job}` has no key" if job is not None else f"no job of {manifest.project} has a key"
        raise RunError(
            f"{what}, so nothing says what there should be", hint="give it one: `day: dt.date = daily(since=...)`"
        )
    if build is None:
        build, _ = find(keyed[0].key, here, None, None)
    question = Question.of(build, set().union(*map(variables_of, keyed)), variables, here, target)
    found, wrong = [], False
    for one in keyed:
        try:
            mine = question
            if on_platform and target is not None:
                mine = replace(question, elsewhere=partial(_on_platform, one.key, target, here, job_id, host, profile))
            found.append(keys_of(build.manifest.job(one.key), mine))
        except RunError as error:
            if len(keyed) == 1:
                raise
            wrong = True
            say(str(error))
    if as_json:
        print_json({"jobs": list(map(_form, found))})
    else:
        out = console()
        for asked in found:
            _show(out, asked)
    if wrong or any(one.unknown for one in found):
        raise SystemExit(CANT_TELL)
    if any(one.of("missing") or one.of("partial") for one in found):
        raise SystemExit(FAILED)


def _on_platform(
    job: str, target: str, here: Path, job_id: int | None, host: str | None, profile: str | None
) -> dict[str, Any]:
    """Ask the deployed job of a target."""
    from dbxdec.remote import asking, place
    from dbxdec.remote.workspace import Workspace

    found = place.find(job, target, here, job_id=job_id, host=host, profile=profile)
    workspace = Workspace.connect(found.host, found.profile)
    return asking.keys_there(
        workspace.job(found.job_id), workspace, lambda url: say(f"a task of `{job}` reads the tables: {url}")
    )


def _form(keys: Keys) -> dict[str, Any]:
    """Return the keys of a job as JSON."""
    return {
        "job": keys.job,
        "source": keys.source,
        "since": None if keys.since is None else str(keys.since),
        "missing": [keys.named(key) for key in keys.of("missing")],
        "partial": [{**keys.named(key), "targets": keys.states(key)} for key in keys.of("partial")],
        "unknown": [
            {
                "target": table.name,
                "why": table.why,
                **({"keys": [keys.named(key) for key in keys.sorted(table.untold)]} if table.untold else {}),
            }
            for table in keys.unknown
        ],
        "done": len(keys.certain),
    }


def _show(out: Console, keys: Keys) -> None:
    from dbxdec.local.missing import absence, remedy

    missing, partial = keys.of("missing"), keys.of("partial")
    counts = [f"{len(keys.certain)} done"] if keys.certain or not keys.unknown else []
    counts += [f"{len(some)} {name}" for name, some in (("missing", missing), ("partial", partial)) if some]
    by = "logs" if keys.source == "log" else f"{keys.source.replace('log', 'logs')}"
    counts += [f"by {by} since {keys.since}"] if keys.since and counts else []
    out.print(f"[bold]{escape(keys.job)}[/]  {', '.join(counts) or 'nothing can be told'}")
    if missing:
        out.print(f"  missing  {escape(of_ranges(missing, keys))}")
    alike: dict[str, list[Key]] = {}
    for key in partial:
        alike.setdefault(", ".join(f"{name} {state}" for name, state in keys.states(key).items()), []).append(key)
    for states, some in alike.items():
        out.print(f"  partial  {escape(of_ranges(some, keys))}: {escape(states)}")
    for table in keys.absent if partial else ():
        say(f"{keys.job}: {absence(table, keys.job)}")
    for table in keys.unknown:
        if table.untold:
            out.print(f"  unknown  {escape(of_ranges(keys.sorted(table.untold), keys))}: {escape(table.name)}")
        what = f"{keys.job}: of {table.name} it can't be told which keys it has: {table.why}"
        say(str(Problem(what, hint=remedy(table, keys.job))))


def _words(key: Key) -> str:
    return " ".join(key)


def word_of(state: str, keys: Keys) -> str:
    """Return the word for a state: what a person has given of a job without keys is not known to be missing."""
    return "given" if state == "missing" and keys.made is not None else state


def of_ranges(some: Sequence[Key], keys: Keys) -> str:
    """Return keys for people; those that follow each other as the first and the last one."""
    runs: list[list[Key]] = []
    for key in some:
        if runs and keys.follows(runs[-1][-1], key):
            runs[-1].append(key)
        else:
            runs.append([key])
    words = [_words(run[0]) if len(run) == 1 else f"{_words(run[0])} to {_words(run[-1])} ({len(run)})" for run in runs]
    return ", ".join(words)
