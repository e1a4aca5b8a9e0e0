"""The place of a target's job: its id and its workspace, as the bundle's CLI, a person or an earlier call tells."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from dbxdec.errors import Problem, RunError
from dbxdec.local import journal
from dbxdec.records import dataclass
from dbxdec.remote.started import folder
from dbxdec.remote.states import not_deployed
from dbxdec.support.files import naming
from dbxdec.support.forms import table
from dbxdec.support.masking import Mask, of_this_machine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_COMMAND, _VARIABLE = "databricks", "DATABRICKS_CLI_PATH"
_LONGEST_S = 600
_LINES = 5
_KNOWN = "targets.json"


@dataclass(frozen=True)
class Place:
    """The workspace and the job. `host` and `profile` are None where the environment says which workspace it is.

    `variables` are values of bundle variables that the bundle's CLI has told.
    """

    job_id: int
    host: str | None = None
    profile: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


def find(
    job: str,
    target: str,
    here: Path,
    *,
    job_id: int | None = None,
    host: str | None = None,
    profile: str | None = None,
) -> Place:
    """Return where the job of a target is. Raises RunError where nobody knows."""
    if job_id is not None:
        return Place(job_id, host, profile)
    if (command := os.environ.get(_VARIABLE) or shutil.which(_COMMAND)) is not None:
        found = _of_bundle(job, target, _summary(command, target, here, profile))
    elif (known := _known(here, target).get(job)) is not None:
        found = Place(known["id"], None if profile else known["host"])
    else:
        raise RunError(
            f"nobody knows which job of the workspace is `{job}` of the target `{target}`: the bundle's CLI, "
            f"`{_COMMAND}`, is not on PATH",
            hint="give the id that the job's page shows: `--job-id ID`, with `--host URL` or `--profile NAME`",
        )
    return replace(found, host=host or found.host, profile=profile)


def keep(job: str, target: str, here: Path, job_id: int, host: str) -> None:
    """Keep where a job was found, for a call on a machine without the bundle's CLI."""
    found = _targets(here)
    of_target = found.get(target)
    found[target] = {**(of_target if isinstance(of_target, dict) else {}), job: {"id": job_id, "host": host}}
    journal.write_whole(folder(here) / _KNOWN, found)


def _targets(here: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        return journal.read_whole(folder(here) / _KNOWN)
    return {}


def _known(here: Path, target: str) -> dict[str, Any]:
    """Return the jobs of a target as far as they were kept; what is damaged is not known."""
    found = _targets(here).get(target)
    if not isinstance(found, dict):
        return {}
    return {
        job: one
        for job, one in found.items()
        if isinstance(one, dict) and isinstance(one.get("id"), int) and isinstance(one.get("host"), str)
    }


def _summary(command: str, target: str, here: Path, profile: str | None) -> dict[str, Any]:
    """Return what the bundle's CLI says of a target. Raises RunError with its words if that is no JSON."""
    called = [command, "bundle", "summary", "-t", target, "-o", "json", *(["-p", profile] if profile else [])]
    words = f"`{_COMMAND} bundle summary -t {target}`"
    try:
        with naming(command):
            asked = subprocess.run(called, cwd=here, capture_output=True, check=False, timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        raise RunError(f"{words} did not end within {_LONGEST_S} s") from None
    except OSError as error:
        raise RunError(f"{words} can't be started: {error}", hint=f"see {_VARIABLE} and PATH") from None
    with suppress(ValueError, RecursionError):
        found = json.loads(asked.stdout)
        if isinstance(found, dict):
            return found
    mask = Mask(of_this_machine())
    said = [text for one in (asked.stderr, asked.stdout) for text in one.decode("utf-8", "replace").splitlines()]
    lines = [mask.text(line) for line in said if line.strip()][-_LINES:]
    raise RunError(
        [
            Problem(f"{words} gave no JSON (exit code {asked.returncode})" + (", and said:" if lines else "")),
            *(Problem(f"    {line}") for line in lines),
            Problem("so the job of the target is not known", hint="mend that, or give `--job-id ID` and `--host URL`"),
        ]
    )


def _of_bundle(job: str, target: str, summary: Mapping[str, Any]) -> Place:
    jobs = table(summary, "resources", "jobs")
    found = table(jobs, job).get("id")
    if not (isinstance(found, str | int) and str(found).isdecimal()):
        raise not_deployed(job, target, jobs)
    values = {name: table(table(summary, "variables"), name).get("value") for name in table(summary, "variables")}
    host = table(summary, "workspace").get("host")
    return Place(
        int(found),
        host if isinstance(host, str) and host else None,
        variables={name: _text(value) for name, value in values.items() if isinstance(value, str | int | float)},
    )


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
