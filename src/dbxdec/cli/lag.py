"""`dbxdec lag`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import click

from dbxdec.cli import completion, options, pipelines
from dbxdec.cli.builds import find
from dbxdec.cli.console import console, escape, print_json, say
from dbxdec.cli.home import home
from dbxdec.cli.missing import CANT_TELL
from dbxdec.errors import RunError, counted
from dbxdec.model.beginnings import readers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbxdec.local.question import Question


@click.command("lag")
@click.argument("job", required=False, shell_complete=completion.jobs)
@options.target("Look at the tables of this target of the bundle, where they are; by default at those of local runs.")
@options.variables
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(job: str | None, target: str | None, variables: dict[str, str], as_json: bool) -> None:
    """Show how far the tasks of JOB, or of all jobs, are behind the tables of which they read what is new.

    The logs of the tables tell: how far a task has read is in the commits of the table that it writes.

    The exit code is 3 where a table can't be read, otherwise 0.

    \b
    Examples:
      dbxdec lag
      dbxdec lag orders --target prod --json
    """
    from dbxdec.local.question import Question, answer_of  # whose imports take longer than `--help`

    here = home()
    build = None if job is None else find(job, here, None, None)[0]
    manifest = pipelines.chosen(here).manifest if build is None else build.manifest
    jobs = [one for one in ([manifest.job(job)] if job is not None else manifest.jobs) if readers(one)]
    if not jobs:
        what = f"no task of the job `{job}`" if job is not None else f"no task of {manifest.project}"
        raise RunError(f"{what} reads what is new in a table", hint='`io.table("...").changes()` as its argument')
    if build is None:
        build, _ = find(jobs[0].key, here, None, None)
    question = Question.of(build, {name for one in jobs for name in one.variables}, variables, here, target)
    found = {one.key: answer_of(build.manifest.job(one.key), question, None)["lags"] for one in jobs}
    if as_json:
        print_json({"jobs": [{"job": key, "readers": lags} for key, lags in found.items()]})
    else:
        for key, lags in found.items():
            _show(key, lags, question)
    if any("why" in lag for lags in found.values() for lag in lags):
        raise SystemExit(CANT_TELL)


def _show(job: str, lags: list[Mapping[str, Any]], question: Question) -> None:
    from dbxdec.cli import tables

    out = console()
    out.print(f"[bold]{escape(job)}[/]")
    titles = ("task", "reads", "read up to", "newest", "behind")
    rows = [
        [
            f"{lag['task']}.{lag['parameter']}",
            question.short(lag["source"]),
            _version(lag.get("read")),
            _version(lag.get("newest")),
            _behind(lag, question.now),
        ]
        for lag in lags
    ]
    tables.show(out, titles, rows, right=("read up to", "newest"), broken=("reads", "behind"))
    for lag in lags:
        if "why" in lag:
            say(f"{job}: how far `{lag['task']}` has read `{lag['parameter']}` can't be told: {lag['why']}")


def _version(version: int | None) -> str:
    return "-" if version is None else str(version)


def _behind(lag: Mapping[str, Any], now: dt.datetime) -> str:
    if "why" in lag:
        return "can't be told"
    if lag.get("newest") is None:
        return "the table is not there yet"
    if lag["read"] is None:
        return "everything: it has read nothing of it yet"
    if lag["read"] == lag["newest"]:
        return "nothing"
    words = [counted(lag["newest"] - lag["read"], "version")]
    words += [counted(lag["rows"], "row")] if lag.get("rows") is not None else []
    if lag.get("since") is not None:
        words.append(f"for {_duration(now.timestamp() - lag['since'] / 1000)}")
    return ", ".join(words)


def _duration(seconds: float) -> str:
    """Return a time for people, in the largest unit of which there is more than one."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size:
            return counted(int(seconds // size), unit)
    return counted(max(0, int(seconds)), "second")
